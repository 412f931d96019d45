// PgBouncer in front of the tests' PostgreSQL, for one test file.
import { execFileSync } from "node:child_process";
import { access, chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll } from "vitest";
import { onFreePorts } from "../../dev/stack/free-ports.ts";
import { unprivilegedUser } from "../../dev/stack/local/postgres.ts";
import { Supervisor } from "../../dev/stack/local/supervisor.ts";
import { servers } from "./servers.ts";

export interface PgBouncer {
  /** Starts one with settings of pgbouncer.ini. @returns its URL */
  start(settings: Readonly<Record<string, string>>): Promise<string>;
  /** The file of a certificate for `localhost`, and of another authority. */
  readonly certificates: { readonly authority: string; readonly other: string };
}

/** Call it at the top of a test file. */
export function usePgBouncer(): PgBouncer {
  let supervisor: Supervisor;
  let certificates: PgBouncer["certificates"];
  beforeAll(async () => {
    supervisor = await Supervisor.start(() => {});
    const folder = supervisor.folder;
    for (const name of ["server", "other"]) createCertificate(folder, name);
    const user = unprivilegedUser();
    if (user !== undefined) await chown(join(folder, "server.key"), user.uid, user.gid);
    certificates = { authority: join(folder, "server.crt"), other: join(folder, "other.crt") };
  });
  afterAll(() => supervisor?.stop());
  return {
    start: (settings) => onFreePorts(1, ([port = 0]) => startPgBouncer(supervisor, port, settings)),
    get certificates() {
      return certificates;
    },
  };
}

async function startPgBouncer(
  supervisor: Supervisor,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<string> {
  const target = new URL(servers().postgresUrl);
  const database = `host=${target.hostname} port=${target.port} user=${target.username} password=${target.password}`;
  const folder = join(supervisor.folder, `pgbouncer-${port}`);
  const all = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "any",
    client_tls_key_file: join(supervisor.folder, "server.key"),
    client_tls_cert_file: join(supervisor.folder, "server.crt"),
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  await mkdir(folder);
  await chmod(folder, 0o755);
  await writeFile(join(folder, "pgbouncer.ini"), `[databases]\n* = ${database}\n[pgbouncer]\n${lines.join("\n")}\n`);
  target.host = `localhost:${port}`;
  const url = target.href;
  const spec = {
    name: "PgBouncer",
    command: await findPgBouncer(),
    args: [join(folder, "pgbouncer.ini")],
    cwd: folder,
    user: unprivilegedUser(),
    logFile: join(supervisor.folder, `pgbouncer-${port}.log`),
    stopSignal: "SIGKILL" as const,
  };
  await supervisor.serve(spec, new AbortController().signal, () =>
    answers(url, settings["client_tls_sslmode"] === "require"),
  );
  return url;
}

async function findPgBouncer(): Promise<string> {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin"];
  for (const folder of folders) {
    const command = join(folder, "pgbouncer");
    if (
      await access(command).then(
        () => true,
        () => false,
      )
    )
      return command;
  }
  throw new Error("This test needs PgBouncer. Install it; on Debian: apt-get install pgbouncer.");
}

async function answers(url: string, needsTls: boolean): Promise<void> {
  const client = new Client({ connectionString: url, ssl: needsTls ? { rejectUnauthorized: false } : false });
  await client.connect();
  await client.end();
}

function createCertificate(folder: string, name: string): void {
  const files = ["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.crt`)];
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"];
  execFileSync("openssl", [...request, "-addext", "subjectAltName=DNS:localhost", ...files], { stdio: "pipe" });
}
