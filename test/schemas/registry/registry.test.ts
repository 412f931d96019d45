import { type RequestListener, createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { keyDefinition } from "../../../src/schemas/mapping/envelope.ts";
import { createSchemaRegistry } from "../../../src/schemas/registry/registry.ts";

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A web server that answers as a registry never does on purpose. */
async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function failing(status: number, body: string): Promise<string> {
  return await answering((_request, response) => response.writeHead(status).end(body));
}

async function closedPort(): Promise<string> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

describe("a registry that fails", () => {
  it("is unavailable if nothing listens on its port", async () => {
    const registry = createSchemaRegistry({ url: `http://${await closedPort()}` });
    const unavailable = { code: "REGISTRY_UNAVAILABLE", kind: "retryable" };
    await expect(registry.schema(1)).rejects.toMatchObject(unavailable);
    await expect(registry.latest("s")).rejects.toMatchObject(unavailable);
    await expect(registry.register("s", keyDefinition("n", "string"))).rejects.toMatchObject(unavailable);
  });

  it.each([500, 503, 429, 408])("is unavailable if it answers %i, and gets only one request", async (status) => {
    let requests = 0;
    const host = await answering((_request, response) => {
      requests++;
      response.writeHead(status).end('{"error_code":50001,"message":"no"}');
    });
    await expect(createSchemaRegistry({ url: `http://${host}` }).schema(1)).rejects.toMatchObject({
      code: "REGISTRY_UNAVAILABLE",
    });
    expect(requests).toBe(1);
  });

  it.each([
    [400, '{"error_code":400,"message":"no"}'],
    [404, "<html>not found</html>"],
    [404, "null"],
    [200, "<html>welcome</html>"],
    [200, ""],
  ])("is unexpected if it answers %i with %j", async (status, body) => {
    const registry = createSchemaRegistry({ url: `http://${await failing(status, body)}` });
    await expect(registry.schema(1)).rejects.toMatchObject({ code: "REGISTRY_UNEXPECTED", kind: "fatal" });
    await expect(registry.latest("s")).rejects.toMatchObject({ code: "REGISTRY_UNEXPECTED" });
  });

  it.each([
    ["REGISTRY_LOGIN_FAILED", 401, "null"],
    ["REGISTRY_FORBIDDEN", 403, ""],
  ])("refuses the user with %s if it answers %i with %j", async (code, status, body) => {
    const registry = createSchemaRegistry({ url: `http://${await failing(status, body)}` });
    await expect(registry.schema(1)).rejects.toMatchObject({ code, kind: "fatal" });
    await expect(registry.latest("s")).rejects.toMatchObject({ code });
  });

  it.each([
    ["JSON", '{"schemaType":"JSON","schema":"{}"}'],
    ["no schema at all", '{"schema":"{\\"type\\":\\"recor\\"}"}'],
  ])("has a schema that is %s, so that its records cannot be decoded", async (_what, body) => {
    const registry = createSchemaRegistry({ url: `http://${await failing(200, body)}` });
    await expect(registry.schema(1)).rejects.toMatchObject({ code: "RECORD_UNDECODABLE", kind: "poison" });
  });
});

describe("credentials", () => {
  it("are sent, and no error shows them", async () => {
    const seen: (string | undefined)[] = [];
    const host = await answering((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(seen.length === 1 ? 401 : 500).end("{}");
    });
    const registry = createSchemaRegistry({ url: `http://us%40er:se%3Acret@${host}/path/` });
    const errors = [await registry.schema(1).catch((error: unknown) => error)];
    errors.push(await registry.schema(1).catch((error: unknown) => error));
    expect(seen).toEqual(Array(2).fill(`Basic ${Buffer.from("us@er:se:cret").toString("base64")}`));
    expect(errors.map((error) => (error as { code: string }).code)).toEqual([
      "REGISTRY_LOGIN_FAILED",
      "REGISTRY_UNAVAILABLE",
    ]);
    for (const error of errors) {
      const { message, remedy, stack, cause } = error as Error & { remedy: string };
      expect(`${message} ${remedy} ${stack} ${String(cause)}`).not.toMatch(/se(:|%3A)cret/);
    }
  });

  it("may be given outside the address", async () => {
    let seen: string | undefined;
    const host = await answering((request, response) => {
      seen = request.headers.authorization;
      response.writeHead(500).end();
    });
    const registry = createSchemaRegistry({ url: `http://${host}`, auth: { username: "a", password: "b" } });
    await expect(registry.schema(1)).rejects.toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
    expect(seen).toBe("Basic YTpi");
  });

  it.each(["user:secret@host", "secret"])("are not shown if the address is not valid", (url) => {
    expect(() => createSchemaRegistry({ url })).toThrow(
      expect.objectContaining({ code: "REGISTRY_UNEXPECTED", message: expect.not.stringContaining("secret") }),
    );
  });
});
