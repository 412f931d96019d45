import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { BEGIN } from "../../../src/consumers/postgres/session.ts";
import { servers } from "../../support/servers.ts";
import { behindProxy, freshSink, openClient, urlWith } from "./fixture.ts";

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function listen(onConnection: Parameters<typeof createServer>[1]): Promise<string> {
  const server: Server = createServer(onConnection);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => once(server.close(), "close"));
  const { port } = server.address() as AddressInfo;
  return urlWith((url) => {
    url.host = `127.0.0.1:${port}`;
  });
}

/** An administrator ends the connection right behind an answer. */
function endingWith(answer: string): { request: (chunk: Buffer) => Buffer; response: (chunk: Buffer) => Buffer } {
  const fields = ["SFATAL", "VFATAL", "C57P01", "Mgoing down", ""].map((field) => `${field}\0`).join("");
  const length = Buffer.alloc(4);
  length.writeInt32BE(4 + fields.length);
  const fatal = Buffer.concat([Buffer.from("E"), length, Buffer.from(fields)]);
  return {
    request: (chunk) => chunk,
    response: (chunk) => (chunk.includes(answer) ? Buffer.concat([chunk, fatal]) : chunk),
  };
}

describe("connecting", () => {
  const one = { text: "SELECT 1" };

  test("to a port where nothing listens is retryable", async () => {
    const url = urlWith((url) => {
      url.host = "127.0.0.1:1";
    });
    await expect(openClient({ url }).run(one)).rejects.toMatchObject({
      kind: "retryable",
      code: "POSTGRES_UNAVAILABLE",
    });
  });

  test("to an unknown host is retryable", async () => {
    const url = urlWith((url) => {
      url.hostname = "unknown.invalid";
    });
    await expect(openClient({ url }).run(one)).rejects.toMatchObject({
      kind: "retryable",
      code: "POSTGRES_UNAVAILABLE",
    });
  });

  test.each([
    ["lets it in", "server_version\0"],
    ["takes the settings", "SELECT 12\0"],
  ])("to a server that closes the connection in the packet in which it %s is retryable", async (_, answer) => {
    const { client } = await behindProxy(() => endingWith(answer));
    await expect(client.run(one)).rejects.toMatchObject({ kind: "retryable", code: "POSTGRES_UNAVAILABLE" });
  });

  test("to a server that closes the connection in the packet of an answer is repeated for the next session", async () => {
    const { client } = await behindProxy(() => endingWith("SELECT 1\0"));
    for (let time = 1; time <= 3; time++) expect((await client.run(one))[0]?.rowCount).toBe(1);
  });

  test("to a server that never answers times out and is retryable", async () => {
    const url = await listen((socket) => closing.push(async () => socket.destroy()));
    await expect(openClient({ url, connectTimeoutMs: 50 }).run(one)).rejects.toMatchObject({
      kind: "retryable",
      code: "POSTGRES_UNAVAILABLE",
    });
  });

  test("to a server that hangs up is retryable", async () => {
    const url = await listen((socket) => socket.once("data", () => socket.end()));
    await expect(openClient({ url }).run(one)).rejects.toMatchObject({
      kind: "retryable",
      code: "POSTGRES_UNAVAILABLE",
    });
  });

  test.each([
    ["password", "POSTGRES_LOGIN_REFUSED", (url: URL) => (url.password = "wrong")],
    ["user", "POSTGRES_LOGIN_REFUSED", (url: URL) => (url.username = "nobody_of_this_name")],
    ["database", "POSTGRES_LOGIN_REFUSED", (url: URL) => (url.pathname = "/no_such_database")],
    ["TLS setting", "POSTGRES_CONNECT_FAILED", (url: URL) => (url.search = "?sslmode=verify-full")],
  ])("with a wrong %s is fatal", async (_, code, change) => {
    const failure = openClient({ url: urlWith(change) }).run(one);
    await expect(failure).rejects.toMatchObject({ kind: "fatal", code });
    await expect(failure).rejects.not.toThrow(new URL(servers().postgresUrl).password);
  });

  test("succeeds when the server is up", async () => {
    const { client, proxy } = await behindProxy();
    proxy.cut();
    await expect(client.run(one)).rejects.toMatchObject({ kind: "retryable" });
    proxy.restore();
    expect((await client.run(one)).length).toBe(1);
  });
});

describe("a session", () => {
  test("uses READ COMMITTED whatever the database's default, and sets its application name", async () => {
    const url = urlWith((url) => {
      url.searchParams.set("options", "-c default_transaction_isolation=serializable");
    });
    const { rows } = await openClient({ url }).session(async (session) => {
      const [, result] = await session.run(BEGIN, {
        text: "SELECT current_setting('transaction_isolation') AS isolation, current_setting('application_name') AS name",
      });
      return result!;
    });
    expect(rows).toEqual([{ isolation: "read committed", name: "headrace" }]);
    const required =
      "SELECT CASE current_setting('transaction_isolation') WHEN 'read committed' THEN 1 ELSE (now() || '')::int END";
    await openClient({ url }).session((session) => session.transact({ conditions: [{ text: required }], writes: [] }));
  });

  test("that leaves a transaction open is rolled back, and its connection is reused", async () => {
    const { schema, pool } = await freshSink();
    const client = openClient({ connections: 1 });
    await pool.query("CREATE TABLE kept (n integer)");
    await client.session((session) =>
      session.run({ text: "BEGIN" }, { text: `INSERT INTO "${schema}".kept VALUES (1)` }),
    );
    await expect(
      client.session(async (session) => {
        await session.run({ text: "BEGIN" }, { text: `INSERT INTO "${schema}".kept VALUES (2)` });
        throw new RangeError("a bug");
      }),
    ).rejects.toThrow(RangeError);
    await client.session(async (session) => {
      await session.run({ text: "BEGIN" });
      await session.commit({ text: `INSERT INTO "${schema}".kept VALUES (3)` });
    });
    expect((await pool.query("SELECT n FROM kept")).rows).toEqual([{ n: 3 }]);
  });

  test("notices a COMMIT that PostgreSQL answered with ROLLBACK", async () => {
    const client = openClient();
    const work = client.session(async (session) => {
      await session.run({ text: "BEGIN" }, { text: "SELECT 1/0" }).catch(() => {});
      await session.commit();
    });
    await expect(work).rejects.toMatchObject({ kind: "fatal" });
  });

  test("that the server ends in a transaction is retryable", async () => {
    const { pool } = await freshSink();
    const client = openClient({ idleInTransactionTimeoutMs: 50 });
    const work = client.session(async (session) => {
      const [, result] = await session.run({ text: "BEGIN" }, { text: "SELECT pg_backend_pid() AS pid" });
      await goneBackend(pool, result!.rows[0]!["pid"]);
      await session.run({ text: "SELECT 1" });
    });
    await expect(work).rejects.toMatchObject({ kind: "retryable" });
    expect((await client.run({ text: "SELECT 1" })).length).toBe(1);
  });

  test("that an administrator ends while it is idle is replaced", async () => {
    const { pool } = await freshSink();
    const client = openClient({ connections: 1 });
    const [result] = await client.run({ text: "SELECT pg_backend_pid() AS pid" });
    const pid = result!.rows[0]!["pid"];
    await pool.query("SELECT pg_terminate_backend($1)", [pid]);
    await goneBackend(pool, pid);
    // PostgreSQL shows the end before it reaches this process. Until then a query may meet the old connection.
    const next = await vi.waitFor(async () => {
      const [answer] = await client.run({ text: "SELECT pg_backend_pid() AS pid" }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: "POSTGRES_UNAVAILABLE", kind: "retryable" });
        throw error;
      });
      return answer;
    }, 30_000);
    expect(next!.rows[0]!["pid"]).not.toBe(pid);
  });

  test("whose answers never come times out and is retryable", async () => {
    const { client, proxy } = await behindProxy(undefined, { statementTimeoutMs: 200 });
    await client.run({ text: "SELECT 1" });
    proxy.pauseResponses();
    await expect(client.run({ text: "SELECT 1" })).rejects.toMatchObject({
      kind: "retryable",
      code: "POSTGRES_UNAVAILABLE",
    });
  });
});

async function goneBackend(
  pool: { query(text: string, values: unknown[]): Promise<{ rows: unknown[] }> },
  pid: unknown,
): Promise<void> {
  await vi.waitFor(
    async () => expect((await pool.query("SELECT FROM pg_stat_activity WHERE pid = $1", [pid])).rows).toEqual([]),
    { timeout: 30_000, interval: 10 },
  );
}
