import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { MongoClient } from "mongodb";
import { Client } from "pg";
import { afterEach, beforeEach, expect, inject, test, vi } from "vitest";

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

afterEach(() => rmSync(folder, { recursive: true }));

function left(): string[] {
  return readdirSync(folder).filter((name) => !name.startsWith("testcontainers-"));
}

test.each(signals)("npm run stack runs until %s and leaves nothing", async (signal) => {
  const envFile = join(folder, "stack.env");
  const run = spawn(process.execPath, ["dev/run-stack.ts", "--write-env", envFile], {
    // With an own folder for temporary files, so that the test can look into it.
    env: { ...process.env, HEADRACE_STACK: kind, TMPDIR: folder },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = once(run, "exit");
  await vi.waitFor(() => expect(existsSync(envFile) || run.exitCode !== null).toBe(true), { timeout: 170_000 });
  expect(run.exitCode).toBe(null);
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
