import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { MongoClient } from "mongodb";
import { Client } from "pg";
import { afterEach, beforeEach, expect, inject, test, vi } from "vitest";
import { serverEnvironment } from "../../dev/stack/server-urls.ts";
import { servers } from "../support/servers.ts";

const kind = inject("stackKind") === "docker" ? "docker" : "local";
/** After a kill, containers run until testcontainers' reaper removes them. */
const isReaped = kind === "local" || process.env["TESTCONTAINERS_RYUK_DISABLED"] !== "true";
const signals = isReaped ? (["SIGINT", "SIGKILL"] as const) : (["SIGINT"] as const);

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headrace-test-"));
  // Readable by all, like /tmp: if this user is root, PostgreSQL runs as another user.
  chmodSync(folder, 0o711);
});

/** Each is started by `start`, and ended after its test. */
const started: ChildProcess[] = [];

afterEach(async () => {
  for (const run of started.splice(0)) if (run.kill("SIGKILL")) await once(run, "exit");
  rmSync(folder, { recursive: true });
});

/** `npm run stack`, with a folder of its own for temporary files, so that the test can look into it. */
function start(envFile: string, env: NodeJS.ProcessEnv) {
  const run = spawn(process.execPath, ["dev/run-stack.ts", "--write-env", envFile], {
    env: { ...process.env, TMPDIR: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(run);
  let printed = "";
  for (const stream of [run.stdout, run.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (printed += text));
  return { run, printed: () => printed };
}

function left(): string[] {
  return readdirSync(folder).filter((name) => !name.startsWith("testcontainers-"));
}

test.each(signals)("npm run stack runs until %s and leaves nothing", async (signal) => {
  const envFile = join(folder, "stack.env");
  const { run, printed } = start(envFile, { HEADRACE_STACK: kind });
  const ended = once(run, "exit");
  await vi.waitFor(() => expect(existsSync(envFile) || run.exitCode !== null).toBe(true), { timeout: 170_000 });
  expect(run.exitCode, printed()).toBe(null);
  const { MONGODB_URI = "", POSTGRES_URL = "", SCHEMA_REGISTRY_URL = "" } = parseEnv(readFileSync(envFile, "utf8"));

  const mongo = await MongoClient.connect(MONGODB_URI);
  expect(await mongo.db("admin").command({ hello: 1 })).toMatchObject({ isWritablePrimary: true });
  await mongo.close();
  const postgres = new Client({ connectionString: POSTGRES_URL });
  await postgres.connect();
  expect((await postgres.query("SHOW max_connections")).rows).toEqual([{ max_connections: "200" }]);
  await postgres.end();
  expect((await fetch(`${SCHEMA_REGISTRY_URL}/subjects`)).status).toBe(200);

  run.kill(signal);
  await ended;
  if (signal === "SIGINT") expect(left()).toEqual([]);
  // A killed process cannot remove the file. The next stack sees that the process is gone.
  else await vi.waitFor(() => expect(left()).toEqual(["stack.env"]), { timeout: 20_000 });
  await vi.waitFor(() => expect(fetch(SCHEMA_REGISTRY_URL)).rejects.toThrow(), { timeout: 30_000 });
});

test("npm run stack on servers that others run says that it stops none", async () => {
  const envFile = join(folder, "stack.env");
  const { run, printed } = start(envFile, { ...serverEnvironment(servers()), HEADRACE_STACK: "env" });
  await vi.waitFor(() => expect(printed()).toContain("Ctrl-C"), { timeout: 60_000 });
  run.kill("SIGINT");
  await once(run, "exit");
  expect(printed()).toContain(`No server was started here: Ctrl-C only removes ${envFile}.`);
  expect(printed()).not.toContain("data");
  expect(left()).toEqual([]);
});
