import { Client, Pool } from "pg";
import { expect, onTestFinished, test } from "vitest";
import { PostgresSink } from "../../src/consumers/postgres/sink.ts";
import { PostgresRemoval } from "../../src/consumers/register/removal.ts";
import { connectAttempts } from "../../src/postgres/address.ts";
import { TableReader } from "../../src/verify/table-reader.ts";
import {
  batchAt,
  deletion,
  freshSink,
  onePartition,
  openClient,
  truncate,
  upsert,
} from "../consumers/postgres/fixture.ts";
import { usePgBouncer } from "../support/pgbouncer.ts";
import { freshPipeline } from "../support/pipeline.ts";

const pgbouncer = usePgBouncer();

/** What Headrace and `verify` set. */
const SETTINGS = [
  "plan_cache_mode",
  "enable_seqscan",
  "enable_hashjoin",
  "enable_mergejoin",
  "enable_material",
  "jit",
  "statement_timeout",
  "idle_in_transaction_session_timeout",
  "default_transaction_read_only",
  "transaction_isolation",
  "extra_float_digits",
  "DateStyle",
  "bytea_output",
];

/** Another client of the same pool. */
function otherClient(url: string) {
  const pool = new Pool({ connectionString: url, max: 2 });
  onTestFinished(() => pool.end());
  return {
    pool,
    async look(): Promise<unknown> {
      const { rows } = await pool.query<{ settings: Record<string, string>; statements: number }>(
        `SELECT (SELECT json_object_agg(name, current_setting(name)) FROM unnest($1::text[]) AS name) AS settings,
          (SELECT count(*)::int FROM pg_prepared_statements WHERE name <> '') AS statements`,
        [SETTINGS],
      );
      return rows[0];
    },
  };
}

test("nothing of a sink leaks through PgBouncer in transaction mode, and it works", async () => {
  const url = await pgbouncer.start({ pool_mode: "transaction", default_pool_size: "2" });
  const { schema, pool } = await freshSink();
  const other = otherClient(url);
  const untouched = await other.look();
  expect(untouched).toMatchObject({ statements: 0, settings: { enable_seqscan: "on" } });
  const table = { schema, table: "mine" };
  const sinks = Array.from(
    { length: 3 },
    () => new PostgresSink(openClient({ url }), { internalSchema: schema, partitionsOf: onePartition }),
  );
  const looks: unknown[] = [];
  await Promise.all(
    sinks.map(async (sink, partition) => {
      await sink.readProgress([{ topic: "t", partition }]);
      for (let offset = 0; offset < 40; offset++) {
        const key = `${partition}/${offset % 7}`;
        const change = offset % 5 === 4 ? deletion(key, offset) : upsert(key, offset, String(offset));
        expect(await sink.apply(batchAt(offset, table, [change], partition))).toBe("applied");
        looks.push(await other.look());
      }
    }),
  );
  expect(new Set(looks.map((look) => JSON.stringify(look)))).toEqual(new Set([JSON.stringify(untouched)]));
  const { rows } = await pool.query("SELECT _id, value FROM mine WHERE starts_with(_id, '1/') ORDER BY _id");
  expect(rows).toEqual([
    { _id: "1/0", value: "35" },
    { _id: "1/1", value: "36" },
    { _id: "1/2", value: "37" },
    { _id: "1/3", value: "38" },
    { _id: "1/5", value: "33" },
  ]);
  const [first] = sinks;
  await first!.apply(batchAt(40, table, [truncate(100)]));
  const origin = { topic: "t", partition: 1, offset: 3n };
  expect(await first!.replay(origin, 2, table, upsert("replayed", 101, "x"))).toBe("replayed");
  expect([...(await first!.outcomesOf([origin])).values()]).toEqual(["replayed"]);
  expect((await pool.query("SELECT _id FROM mine")).rows).toEqual([{ _id: "replayed" }]);
  await new PostgresRemoval(openClient({ url }), schema).remove({ topics: ["t"], tables: [table], dropped: [table] });
  expect(await other.look()).toEqual(untouched);
});

test("timeouts and errors are those of a direct connection", async () => {
  const url = await pgbouncer.start({ pool_mode: "transaction", default_pool_size: "1" });
  const client = openClient({ url, statementTimeoutMs: 200 });
  await expect(client.run({ text: "SELECT pg_sleep(600)" })).rejects.toMatchObject({ details: { sqlstate: "57014" } });
  await expect(client.run({ text: "SELECT 1/0" }, { text: "SELECT 1" })).rejects.toMatchObject({
    details: { sqlstate: "22012" },
  });
  // Outside a transaction, each query is one of its own, also behind a pooler.
  const { schema, pool } = await freshSink();
  await pool.query("CREATE TABLE kept (n integer)");
  const insert = (n: string) => ({ text: `INSERT INTO "${schema}".kept VALUES (${n})` });
  await expect(client.run(insert("1"), insert("1/0"), insert("2"))).rejects.toThrow("22012");
  expect((await pool.query("SELECT n FROM kept ORDER BY n")).rows).toEqual([{ n: 1 }, { n: 2 }]);
  const work = client.session((session) => session.run({ text: "BEGIN" }, insert("3"), insert("1/0")));
  await expect(work).rejects.toThrow("22012");
  expect((await pool.query("SELECT count(*)::int AS n FROM kept")).rows).toEqual([{ n: 2 }]);
});

test("a sink works through PgBouncer in session mode", async () => {
  const url = await pgbouncer.start({ pool_mode: "session", default_pool_size: "4" });
  const { schema, pool } = await freshSink();
  const sink = new PostgresSink(openClient({ url }), { internalSchema: schema, partitionsOf: onePartition });
  await sink.readProgress([{ topic: "t", partition: 0 }]);
  await sink.apply(batchAt(0, { schema, table: "mine" }, [upsert("a", 1, "x")]));
  expect((await pool.query("SELECT _id FROM mine")).rows).toEqual([{ _id: "a" }]);
});

test("nothing of verify's reader leaks", async () => {
  const url = await pgbouncer.start({ pool_mode: "transaction", default_pool_size: "1" });
  const { schema, pool } = await freshSink();
  await pool.query("CREATE TABLE mine (_id text PRIMARY KEY, _version bigint, at timestamptz)");
  await pool.query("INSERT INTO mine VALUES ('a', 1, '2026-01-02 03:04:05+02')");
  const other = otherClient(url);
  const untouched = await other.look();
  const [attempt] = (await connectAttempts(url)).toReversed();
  const client = new Client({ ...attempt });
  await client.connect();
  onTestFinished(() => client.end());
  const reader = await TableReader.open(client, { schema, table: "mine" });
  const read: unknown[] = [];
  await reader.rows(["a"], ["at"], (key, version, texts) => read.push([key, version, ...texts]));
  expect(read).toEqual([["a", 1n, "2026-01-02 01:04:05+00"]]);
  expect(await reader.keysAfter(null, 10)).toEqual(["a"]);
  expect(await other.look()).toEqual(untouched);
  await other.pool.query(`INSERT INTO "${schema}".mine VALUES ('b', 1)`);
});

test("the commands work through PgBouncer, and leave nothing behind", { timeout: 120_000 }, async () => {
  const url = await pgbouncer.start({ pool_mode: "transaction", default_pool_size: "3" });
  const pipeline = await freshPipeline({ collections: { things: {} } });
  await pipeline.db.collection("things").insertMany([{ a: 1 }, { a: 2 }]);
  const other = otherClient(url);
  const untouched = await other.look();
  const through = await pipeline.through({ postgresUrl: url });
  for (const command of [
    ["check"],
    ["run", "--once"],
    ["status"],
    ["verify"],
    ["dlq", "list"],
    ["remove", "--pipeline", "--yes", "--tables"],
  ]) {
    const { exitCode, stdout, stderr } = await through.run(...command);
    expect(exitCode, `${command.join(" ")}: ${stdout}${stderr}`).toBe(0);
    expect(await other.look()).toEqual(untouched);
  }
});
