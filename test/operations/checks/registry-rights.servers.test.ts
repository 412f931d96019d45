import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { freshPipeline } from "../../support/pipeline.ts";
import type { Pipeline } from "../../support/pipeline.ts";
import { servers } from "../../support/servers.ts";

/**
 * A registry whose user may not set compatibilities: the real one behind a gateway that refuses it.
 * @param globalLevel the registry's own level
 */
async function startGateway(globalLevel: string): Promise<{ readonly url: string; readonly puts: string[] }> {
  const { origin, pathname } = new URL(servers().schemaRegistryUrl);
  const puts: string[] = [];
  const forward = async (request: IncomingMessage): Promise<{ status: number; text: string }> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "GET", url = "" } = request;
    if (method === "PUT") puts.push(url);
    if (method === "PUT") return { status: 403, text: '{"error_code":403,"message":"Forbidden"}' };
    if (url === `${pathname}/config`) return { status: 200, text: JSON.stringify({ compatibilityLevel: globalLevel }) };
    const headers = { "content-type": "application/vnd.schemaregistry.v1+json" };
    const body = chunks.length === 0 ? null : Buffer.concat(chunks);
    const response = await fetch(`${origin}${url}`, { method, headers, body });
    return { status: response.status, text: await response.text() };
  };
  const server = createServer((request, response) => {
    void forward(request).then(({ status, text }) => response.writeHead(status).end(text));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`, puts };
}

async function pipelineBehind(url: string): Promise<Pipeline> {
  const pipeline = await freshPipeline({ schemaRegistry: { url }, collections: { things: {} } });
  await pipeline.db.collection("things").insertOne({ a: 1 });
  return pipeline;
}

test("a registry whose user may not set a compatibility is found by check, and refused at a start", async () => {
  const { url } = await startGateway("NONE");
  const pipeline = await pipelineBehind(url);
  const check = await pipeline.run("check");
  expect(check.stdout).toMatch(
    /✗ lets the user set the compatibility.*\n +REGISTRY_FORBIDDEN: .*things-key, and the registry's own level is/,
  );
  expect(check.stdout).toContain(`curl -X PUT`);
  expect(check.exitCode).toBe(1);
  const run = await pipeline.run("run", "--once");
  expect(run.stderr).toContain("REGISTRY_FORBIDDEN");
  expect(run.exitCode).toBe(1);
});

test("the right is not needed where the registry's own level is sufficient", async () => {
  const { url, puts } = await startGateway("BACKWARD");
  const pipeline = await pipelineBehind(url);
  const check = await pipeline.run("check");
  expect(check.exitCode, check.stdout).toBe(0);
  const run = await pipeline.run("run", "--once");
  expect(run.exitCode, run.stderr).toBe(0);
  expect(puts.length).toBeGreaterThan(1);
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
});
