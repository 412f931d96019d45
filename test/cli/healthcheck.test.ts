import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { MINIMAL_CONFIG } from "../support/minimal-config.ts";

const run = promisify(execFile);
const program = new URL("../../src/cli/healthcheck.ts", import.meta.url).pathname;

/** Runs the image's health check beside a headrace.yaml; its exit code. */
async function healthOf(config: object): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), "headrace-health-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "headrace.yaml"), JSON.stringify({ ...MINIMAL_CONFIG, ...config }));
  try {
    await run(process.execPath, [program], { cwd: folder });
    return 0;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

/** A server that answers everything with one status; its port. */
async function answering(status: number): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(status).end()).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test("a container is healthy if /healthz answers at the config's address", async () => {
  expect(await healthOf({ http: { port: await answering(200) } })).toBe(0);
});

test("a container is unhealthy if /healthz answers with an error, or does not answer", async () => {
  expect(await healthOf({ http: { port: await answering(503) } })).toBe(1);
  expect(await healthOf({ http: { port: 1 } })).toBe(1);
});

test("a container is healthy if its config has no http section", async () => {
  expect(await healthOf({})).toBe(0);
});
