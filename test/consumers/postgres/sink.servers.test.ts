import { describe, expect, test } from "vitest";
import { buildStatements } from "../../../src/consumers/postgres/upsert-sql.ts";
import { PARTITIONS } from "../../contracts/sink-harness.ts";
import { describeSink } from "../../contracts/sink.ts";
import { batchAt, freshSink, openClient, textSchema, upsert } from "./fixture.ts";

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
