import { escapeIdentifier } from "pg";
import type { Pool } from "pg";
import { describe, expect, test } from "vitest";
import type { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import { quoteTable } from "../../../src/consumers/postgres/sql/upsert-sql.ts";
import type { HeadraceError } from "../../../src/errors/error.ts";
import type { Change, RowSchema } from "../../../src/schemas/row-schema.ts";
import { cellsOf } from "../../support/cells.ts";
import { batchAt, deletion, freshSink, textSchema, truncate, upsert } from "./fixture.ts";
import type { SinkFixture } from "./fixture.ts";

const TOPIC = "shop.it's products";
const partition = { topic: TOPIC, partition: 0 };

/** What the remedy of TABLE_DROPPED tells the operator to run, exactly as printed. */
function printedStatements({ remedy }: HeadraceError): string {
  return /BEGIN;.*COMMIT;/.exec(remedy)?.[0] ?? "";
}

const TAGGED: RowSchema = {
  ...textSchema,
  children: [{ suffix: "tags", around: [], columns: [{ name: "value", sqlType: "text" }], hasForeignKey: false }],
};

function withTag(key: string, version: number): Change {
  return { ...upsert(key, version, "x", TAGGED), children: [{ rows: 1, cells: cellsOf(["0", "t"]), lengths: [1] }] };
}

/** Has rows in every one of Headrace's own tables, for a table that is dropped then. */
async function fillAndDrop({ schema, pool, sink }: SinkFixture): Promise<HeadraceError> {
  const table = { schema, table: "it's mine" };
  const batch = (offset: number, changes: Parameters<typeof batchAt>[2]) => ({
    ...batchAt(offset, table, changes),
    ...partition,
  });
  await sink.readProgress([partition]);
  await pool.query(
    `INSERT INTO tables (relation, pipeline, database, collection, topic, register_oid) VALUES ($1, 'p', 'd', 'c', $2, 1)`,
    [quoteTable(table), partition.topic],
  );
  await sink.apply(batch(0, [withTag("a", 1), upsert("b", 2, "y"), deletion("b", 3)]));
  await sink.apply(batch(3, [truncate(2)]));
  await sink.skip(batch(4, []), upsert("c", 5, "z"));
  await sink.close({ ...partition, offset: 4n }, 1, "discarded", table);
  await sink.raiseWatermarks([{ table, version: 5n, signals: 0n }]);
  await pool.query("INSERT INTO purged (relation, version) VALUES ($1, 1)", [quoteTable(table)]);
  await pool.query(
    `INSERT INTO open_letters (topic, id, dlq_topic, dlq_partition, dlq_offset, headers, written_at) VALUES ($1, 'id', 'dlq', 0, 0, '[]', now())`,
    [partition.topic],
  );
  await pool.query(`DROP TABLE ${escapeIdentifier(table.table)}, ${escapeIdentifier(`${table.table}_tags`)}`);
  return await sink.apply(batch(5, [upsert("d", 6, "z")])).then(
    () => expect.unreachable("the table is gone"),
    (error: unknown) => error as HeadraceError,
  );
}

/** How many rows each of Headrace's own tables has. */
async function ownRows(pool: Pool, schema: string): Promise<Record<string, number>> {
  const { rows: tables } = await pool.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 AND tablename <> $2 ORDER BY 1",
    [schema, "it's mine"],
  );
  const counts: Record<string, number> = {};
  for (const { name } of tables) {
    const { rows } = await pool.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM ${escapeIdentifier(name)}`,
    );
    counts[name] = rows[0]?.count ?? 0;
  }
  return counts;
}

describe("a table that was dropped after it was filled", () => {
  test("is not created again, because its rows would be missing", async () => {
    const { schema, pool, sink, openSink } = await freshSink();
    const home = { topic: "t", partition: 0 };
    await sink.readProgress([home]);
    const table = { schema, table: "products" };
    await sink.apply(batchAt(0, table, [upsert("a", 1, "x")]));
    await pool.query("DROP TABLE products");
    for (const each of [sink, openSink()])
      await expect(each.apply(batchAt(1, table, [upsert("b", 2, "y")]))).rejects.toMatchObject({
        code: "TABLE_DROPPED",
        kind: "fatal",
      });
    expect((await sink.readProgress([home])).get("t/0")).toBe(1n);
  });

  test("leaves no row in any of Headrace's own tables after the remedy", async () => {
    const fixture = await freshSink();
    const { pool, schema } = fixture;
    const failure = await fillAndDrop(fixture);
    const before = await ownRows(pool, schema);
    expect(Object.keys(before)).toHaveLength(12);
    expect(Object.values(before)).not.toContain(0);

    await pool.query(printedStatements(failure));
    expect(await ownRows(pool, schema)).toEqual(Object.fromEntries(Object.keys(before).map((name) => [name, 0])));
  });

  test("has no watermark after the remedy until one is raised again, also a lower one", async () => {
    const fixture = await freshSink();
    const { pool, schema, openSink } = fixture;
    await pool.query(printedStatements(await fillAndDrop(fixture)));
    expect((await pool.query("SELECT FROM watermark")).rows).toEqual([]);

    const started: PostgresSink = openSink();
    await started.raiseWatermarks([{ table: { schema, table: "it's mine" }, version: 3n, signals: 0n }]);
    expect((await pool.query("SELECT version FROM watermark")).rows).toEqual([{ version: "3" }]);
  });

  test("is filled from the topic's start after the remedy", async () => {
    const { schema, pool, sink, openSink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const table = { schema, table: "products" };
    const changes = [upsert("a", 1, "x"), upsert("b", 2, "y"), deletion("b", 3)];
    await sink.apply(batchAt(0, table, changes));
    await pool.query("DROP TABLE products");
    const failure: unknown = await sink
      .apply(batchAt(3, table, [upsert("c", 4, "z")]))
      .catch((error: unknown) => error);
    await pool.query(printedStatements(failure as HeadraceError));
    const started = openSink();
    await started.readProgress([{ topic: "t", partition: 0 }]);
    expect(await started.apply(batchAt(0, table, changes))).toBe("applied");
    expect((await pool.query("SELECT _id, value FROM products")).rows).toEqual([{ _id: "a", value: "x" }]);
  });
});
