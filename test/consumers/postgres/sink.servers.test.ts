import { describe, expect, test } from "vitest";
import type { DeadLetterOutcomes } from "../../../src/consumers/ports.ts";
import { buildStatements } from "../../../src/consumers/postgres/sql/upsert-sql.ts";
import { PARTITIONS } from "../../contracts/sink-harness.ts";
import { describeSink } from "../../contracts/sink.ts";
import { batchAt, deletion, freshSink, openClient, textSchema, upsert } from "./fixture.ts";
import type { SinkFixture } from "./fixture.ts";

describeSink("PostgresSink as a Sink", async () => {
  const { schema, pool, openSink } = await freshSink(() => Promise.resolve(PARTITIONS));
  return {
    open: () => openSink(),
    table: { schema, table: "products" },
    rows: async () => {
      const exists = await pool.query("SELECT to_regclass('products') AS found");
      if (exists.rows[0].found === null) return [];
      const { rows } = await pool.query(`SELECT "_id", "_version", "n"::text FROM products ORDER BY "_id"`);
      return rows.map((row) => ({
        key: row._id as string,
        version: row._version === null ? null : BigInt(row._version as string),
        n: row.n as string | null,
      }));
    },
  };
});

describe("purging tombstones", () => {
  test("deletes all old ones, and keeps the others", async () => {
    const { pool, sink } = await freshSink();
    await sink.readProgress([]);
    await pool.query(`INSERT INTO tombstones SELECT 't', 'old' || n, 1, now() - interval '15 days' FROM generate_series(1, 2500) AS n;
      INSERT INTO tombstones VALUES ('t', 'new', 1, now() - interval '13 days')`);
    expect(await sink.purgeTombstones(14 * 24 * 60 * 60 * 1000)).toBe(2500);
    expect((await pool.query("SELECT key FROM tombstones")).rows).toEqual([{ key: "new" }]);
    expect(await sink.purgeTombstones(14 * 24 * 60 * 60 * 1000)).toBe(0);
  });
});

describe("the replay of a record that is older than deletes that were forgotten", () => {
  const DAYS_14 = 14 * 24 * 60 * 60 * 1000;

  async function forgetDelete({ pool, sink, schema }: SinkFixture, version: number): Promise<void> {
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await sink.apply(batchAt(0, { schema, table: "mine" }, [deletion("a", version)]));
    await pool.query("UPDATE tombstones SET deleted_at = now() - interval '15 days'");
  }

  test("is outdated if nothing is stored of its key, and stays open", async () => {
    const fixture = await freshSink();
    const { sink, pool, schema } = fixture;
    await forgetDelete(fixture, 5);
    expect(await sink.purgeTombstones(DAYS_14)).toBe(1);
    const table = { schema, table: "mine" };
    const origin = { topic: "t", partition: 0, offset: 9n };
    expect(await sink.replay(origin, 2, table, upsert("a", 4, "old"))).toBe("outdated");
    expect(await sink.replay(origin, 2, table, upsert("b", 5, "old"))).toBe("outdated");
    expect(await sink.outcomesOf([origin])).toEqual(new Map());
    expect(await sink.replay(origin, 2, table, upsert("b", 6, "new"))).toBe("replayed");
    expect(await sink.replay({ ...origin, offset: 10n }, 2, table, upsert("b", 4, "old"))).toBe("superseded");
    expect((await pool.query("SELECT _id, value FROM mine")).rows).toEqual([{ _id: "b", value: "new" }]);
  });

  test("is outdated if version 0.1.0 has purged: it did not note what", async () => {
    const fixture = await freshSink();
    const { openSink, pool, schema } = fixture;
    await forgetDelete(fixture, 5);
    await pool.query("DELETE FROM tombstones; DROP TABLE purged");
    const upgraded = openSink();
    await upgraded.prepareInternal();
    const origin = { topic: "t", partition: 0, offset: 9n };
    expect(await upgraded.replay(origin, 2, { schema, table: "mine" }, upsert("a", 4, "old"))).toBe("outdated");
    expect((await pool.query("SELECT FROM mine")).rows).toEqual([]);
  });
});

describe("an outcome belongs to one incarnation of the topic", () => {
  const old = { topic: "t", partition: 0, offset: 5n };
  const first = { ...old, topicId: "abc" };
  const second = { ...old, topicId: "def" };
  const outcomes = async (sink: DeadLetterOutcomes) => Object.fromEntries(await sink.outcomesOf([old, first, second]));

  test("none overwrites another, and a replayed one stays replayed", async () => {
    const { sink } = await freshSink();
    await sink.close(first, 1, "replayed", null);
    await sink.close(second, 1, "discarded", null);
    await sink.close(old, 1, "superseded", null);
    const all = { "t/0/5": "superseded", "t/0/5@abc": "replayed", "t/0/5@def": "discarded" };
    expect(await outcomes(sink)).toEqual(all);
    await sink.close(first, 2, "discarded", null);
    expect(await outcomes(sink)).toEqual(all);
  });

  test.each([
    ["version 0.1.0", "", ""],
    ["a build between 0.1.0 and the next", ", topic_id text", ", 'abc'"],
  ])("also with a table of %s, whose closed dead letters stay closed", async (_, column, value) => {
    const { pool, sink, schema } = await freshSink();
    await pool.query(`CREATE TABLE "${schema}".dead_letters (topic text COLLATE "C", partition integer, "offset" bigint,
      attempts integer NOT NULL, outcome text NOT NULL, relation text, at timestamptz NOT NULL DEFAULT now()${column},
      PRIMARY KEY (topic, partition, "offset"));
    INSERT INTO "${schema}".dead_letters (topic, partition, "offset", attempts, outcome) VALUES ('t', 0, 5, 1, 'replayed');
    INSERT INTO "${schema}".dead_letters VALUES ('t', 0, 6, 1, 'discarded', NULL, now()${value})`);
    const known = { "t/0/5": "replayed" };
    expect(await outcomes(sink)).toEqual(known);
    await sink.close(first, 1, "discarded", null);
    await sink.close(second, 1, "superseded", null);
    expect(await outcomes(sink)).toEqual({ ...known, "t/0/5@abc": "discarded", "t/0/5@def": "superseded" });
    const next = { ...old, offset: 6n };
    const sixth = await sink.outcomesOf([next, { ...next, topicId: "abc" }]);
    expect([...sixth]).toEqual([[value === "" ? "t/0/6" : "t/0/6@abc", "discarded"]]);
    const { rows } = await pool.query(
      "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'dead_letters'",
      [schema],
    );
    expect(rows.map((row) => row.column_name)).not.toContain("former");
  });
});

describe("the plans of the sink's sessions", () => {
  test.each(["upsert", "delete"] as const)("use an index before any table was analysed: %s", async (kind) => {
    const { schema, sink } = await freshSink();
    const table = { schema, table: "mine" };
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    const { text } = buildStatements({ table, rowSchema: textSchema, resetColumns: [], internalSchema: schema })[kind];
    const parameters = kind === "upsert" ? "NULL, NULL, NULL, NULL" : "NULL, NULL, NULL";
    const plan = await openClient().session(async (session) => {
      const [, explained] = await session.run(
        { text: `PREPARE looked_at AS ${text}` },
        { text: `EXPLAIN EXECUTE looked_at (${parameters})` },
      );
      return explained!.rows.map((row) => String(row["QUERY PLAN"])).join("\n");
    });
    expect(plan).toMatch(/Index Cond: .*key/);
    expect(plan).not.toMatch(/Seq Scan|Hash|Merge|Materialize/);
  });
});
