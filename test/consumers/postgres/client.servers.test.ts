import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { BEGIN } from "../../../src/consumers/postgres/client.ts";
import type { PostgresClient } from "../../../src/consumers/postgres/client.ts";
import { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import { partitionKey } from "../../../src/schemas/partitions.ts";
import { servers, uniqueName } from "../../support/servers.ts";
import { startProxy } from "../../support/tcp-proxy.ts";
import type { TcpProxy } from "../../support/tcp-proxy.ts";
import { batchAt, freshSink, onePartition, openClient, upsert } from "./fixture.ts";

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

function urlWith(change: (url: URL) => void): string {
  const url = new URL(servers().postgresUrl);
  change(url);
  return url.href;
}

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
    ["takes the settings", "SELECT 8\0"],
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

interface Proxied {
  readonly client: PostgresClient;
  readonly proxy: TcpProxy;
}

async function behindProxy(
  filter?: Parameters<typeof startProxy>[0]["filter"],
  options: Parameters<typeof openClient>[0] = {},
): Promise<Proxied> {
  const { hostname, port } = new URL(servers().postgresUrl);
  const target = { targetHost: hostname, targetPort: Number(port) };
  const proxy = await startProxy(filter === undefined ? target : { ...target, filter });
  closing.push(() => proxy.close());
  const url = urlWith((url) => {
    url.host = `${proxy.host}:${proxy.port}`;
  });
  return { client: openClient({ url, ...options }), proxy };
}

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

describe("a connection that is lost in a transaction of the sink", () => {
  /** A sink whose connections are cut at a certain moment, once; `sink` goes around that. */
  async function cuttable(when: "before COMMIT" | "before its answer") {
    const fixture = await freshSink();
    let armed = false;
    const { client } = await behindProxy((cut) => {
      const cutAt = (moment: typeof when, chunk: Buffer): Buffer => {
        if (!armed || when !== moment || !chunk.includes("COMMIT\0")) return chunk;
        armed = false;
        cut();
        return Buffer.alloc(0);
      };
      return {
        request: (chunk) => cutAt("before COMMIT", chunk),
        response: (chunk) => cutAt("before its answer", chunk),
      };
    });
    const sink = new PostgresSink(client, { internalSchema: fixture.schema, partitionsOf: onePartition });
    const table = { schema: fixture.schema, table: "mine" };
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    return {
      ...fixture,
      sink,
      table,
      arm: () => {
        armed = true;
      },
    };
  }

  test("before COMMIT arrived: the same batch is applied by the retry", async () => {
    const { pool, sink, table, arm } = await cuttable("before COMMIT");
    const batch = batchAt(1, table, [upsert("a", 2, "2")]);
    arm();
    await expect(sink.apply(batch)).rejects.toMatchObject({ kind: "retryable", code: "POSTGRES_UNAVAILABLE" });
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "1" }]);
    expect(await sink.apply(batch)).toBe("applied");
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "2" }]);
  });

  test("after COMMIT arrived: the same batch is fenced, and the progress shows that it was applied", async () => {
    const { pool, sink, table, arm } = await cuttable("before its answer");
    const batch = batchAt(1, table, [upsert("a", 2, "2")]);
    arm();
    await expect(sink.apply(batch)).rejects.toMatchObject({ kind: "retryable", code: "POSTGRES_UNAVAILABLE" });
    expect(await sink.apply(batch)).toBe("fenced");
    const home = { topic: "t", partition: 0 };
    expect((await sink.readProgress([home])).get(partitionKey(home))).toBe(2n);
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "2" }]);
  });

  test("after the COMMIT of a replay: the retry is superseded, and the dead letter stays replayed", async () => {
    const { pool, sink, table, arm } = await cuttable("before its answer");
    const origin = { topic: "t", partition: 0, offset: 0n };
    const replay = () => sink.replay(origin, 1, table, upsert("a", 2, "2"));
    arm();
    await expect(replay()).rejects.toMatchObject({ kind: "retryable" });
    expect(await replay()).toBe("superseded");
    expect([...(await sink.outcomesOf([origin])).values()]).toEqual(["replayed"]);
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "2" }]);
  });

  test("a session that an administrator ends while it waits for the lock writes nothing", async () => {
    const { schema, pool, openSink } = await freshSink();
    const name = uniqueName("waiting");
    const sink = openSink({
      url: urlWith((url) => {
        url.searchParams.set("application_name", name);
      }),
    });
    const table = { schema, table: "mine" };
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    const holder = await pool.connect();
    await holder.query("BEGIN; SELECT FROM progress FOR UPDATE");
    const batch = batchAt(1, table, [upsert("a", 2, "2")]);
    const refused = expect(sink.apply(batch)).rejects.toMatchObject({
      kind: "retryable",
      details: { sqlstate: "57P01" },
    });
    await vi.waitFor(
      async () => {
        const { rows } = await pool.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'",
          [name],
        );
        expect(rows.length).toBe(1);
      },
      { timeout: 30_000, interval: 10 },
    );
    await refused;
    await holder.query("COMMIT");
    holder.release();
    expect((await pool.query("SELECT value FROM mine")).rows).toEqual([{ value: "1" }]);
    expect(await sink.apply(batch)).toBe("applied");
  });
});
