import { escapeIdentifier } from "pg";
import type { Pool } from "pg";
import { describe, expect, test } from "vitest";
import { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import type { RowColumn, RowSchema } from "../../../src/schemas/row-schema.ts";
import { cellsOf } from "../../support/cells.ts";
import { uniqueName } from "../../support/servers.ts";
import { batchAt, freshSink, onePartition, openClient, textSchema, upsert } from "./fixture.ts";

function schemaOf(...columns: RowColumn[]): RowSchema {
  return { idType: "string", children: [], columns };
}

async function columnsOf(pool: Pool, schema: string, table: string): Promise<Record<string, string>> {
  const { rows } = await pool.query(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [`${escapeIdentifier(schema)}.${escapeIdentifier(table)}`],
  );
  return Object.fromEntries(rows.map(({ name, type }) => [name as string, type as string]));
}

describe("a table that does not exist", () => {
  test("is created with the record's columns, a version and a primary key", async () => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const rowSchema = schemaOf({ name: "price", sqlType: "numeric(10,2)" }, { name: "tags", sqlType: "text[]" });
    await sink.apply(
      batchAt(0, { schema, table: "products" }, [
        { ...upsert("a", 1, null, rowSchema), children: [], cells: cellsOf(["1.50", "{x,NULL}"]) },
      ]),
    );
    expect(await columnsOf(pool, schema, "products")).toEqual({
      _id: "text",
      _version: "bigint",
      price: "numeric(10,2)",
      tags: "text[]",
    });
    const { rows } = await pool.query("SELECT * FROM products");
    expect(rows).toEqual([{ _id: "a", _version: "1", price: "1.50", tags: ["x", null] }]);
    await expect(pool.query("INSERT INTO products (_id) VALUES ('a')")).rejects.toMatchObject({ code: "23505" });
  });

  test.each([
    ["integer", "9007199254740993", "bigint"],
    ["uuid", "0b5d7a4e-5a0f-4a7e-9d5c-3c1f7f6b2a11", "uuid"],
    ["objectId", "65a000000000000000000001", "text"],
    ["mixed", '{"$numberLong":"7"}', "text"],
  ] as const)("has a key column for _ids of type %s", async (idType, key, type) => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const rowSchema: RowSchema = { idType, children: [], columns: [{ name: "value", sqlType: "text" }] };
    const table = { schema, table: "keyed" };
    const gone = { ...upsert(key, 2, "gone", rowSchema), op: "d" as const, children: [], cells: null };
    await sink.apply(batchAt(0, table, [upsert(key, 1, "first", rowSchema)]));
    await sink.apply(batchAt(1, table, [gone]));
    await sink.apply(batchAt(2, table, [upsert(key, 1, "too old", rowSchema)]));
    expect((await pool.query("SELECT * FROM keyed")).rows).toEqual([]);
    await sink.apply(batchAt(3, table, [upsert(key, 3, "again", rowSchema)]));
    expect((await pool.query("SELECT _id::text, value FROM keyed")).rows).toEqual([{ _id: key, value: "again" }]);
    expect(await columnsOf(pool, schema, "keyed")).toMatchObject({ _id: type });
  });

  test("is created once by eight sinks at the same time, with its schema and Headrace's own tables", async () => {
    const { pool } = await freshSink();
    const schema = uniqueName('new "schema');
    const internalSchema = uniqueName("own");
    try {
      const partitions = Array.from({ length: 8 }, (_, partition) => partition);
      const outcomes = await Promise.all(
        partitions.map(async (partition) => {
          const sink = new PostgresSink(openClient({ connections: 1 }), { internalSchema, partitionsOf: onePartition });
          await sink.readProgress([{ topic: "t", partition }]);
          return await sink.apply(
            batchAt(0, { schema, table: "products" }, [upsert(`k${partition}`, 1, "x")], partition),
          );
        }),
      );
      expect(new Set(outcomes)).toEqual(new Set(["applied"]));
      const { rows } = await pool.query(`SELECT count(*)::int AS count FROM ${escapeIdentifier(schema)}.products`);
      expect(rows).toEqual([{ count: 8 }]);
    } finally {
      for (const made of [schema, internalSchema]) {
        await pool.query(`DROP SCHEMA IF EXISTS ${escapeIdentifier(made)} CASCADE`);
      }
    }
  });

  test("may have as many columns as PostgreSQL allows", async () => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const wide = schemaOf(...Array.from({ length: 1598 }, (_, n) => ({ name: `c${n}`, sqlType: "integer" })));
    const table = { schema, table: "wide" };
    expect(await sink.apply(batchAt(0, table, [upsert("a", 1, "7", wide), upsert("b", 2, null, wide)]))).toBe(
      "applied",
    );
    expect((await pool.query("SELECT c0, c1597 FROM wide ORDER BY _id")).rows).toEqual([
      { c0: 7, c1597: 7 },
      { c0: null, c1597: null },
    ]);
    const tooWide = schemaOf(...wide.columns, { name: "one_more", sqlType: "integer" });
    await expect(
      sink.apply(batchAt(2, { schema, table: "wider" }, [upsert("a", 1, "7", tooWide)])),
    ).rejects.toMatchObject({
      code: "TABLE_DOES_NOT_FIT",
      kind: "fatal",
      details: { sqlstate: "54011" },
    });
  });
});

describe("names", () => {
  test.each([
    "order",
    "Order",
    "two words",
    " ",
    'say "hi"',
    "it's",
    "a.b",
    "a;DROP TABLE x--",
    "$1",
    "%s",
    "naïve",
    "日本語",
    "🙂",
    "back\\slash",
    "new",
    "target",
    "c0",
    "key",
    "version",
    "e".repeat(63),
  ])("%s works for a table and a column", async (name) => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const rowSchema = schemaOf({ name, sqlType: "text" }, { name: `${name.slice(0, 60)}2`, sqlType: "bigint" });
    const table = { schema, table: name };
    const cells = (text: string) => ({ cells: cellsOf([text, "9007199254740993"]) });
    await sink.apply(batchAt(0, table, [{ ...upsert("a", 1, null, rowSchema), ...cells("first") }]));
    await sink.apply(batchAt(1, table, [{ ...upsert("a", 2, null, rowSchema), ...cells("second") }]));
    const { rows } = await pool.query(`SELECT * FROM ${escapeIdentifier(name)}`);
    expect(rows).toEqual([
      { _id: "a", _version: "2", [name]: "second", [`${name.slice(0, 60)}2`]: "9007199254740993" },
    ]);
  });

  test.each([
    ["too long", "e".repeat(64)],
    ["too long in bytes", "é".repeat(32)],
    ["empty", ""],
    ["with a NUL", "a\u0000b"],
  ])("that PostgreSQL does not allow (%s) are refused, and nothing is created", async (_, name) => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const refused = { code: "NAME_INVALID", kind: "fatal" };
    const column = schemaOf({ name, sqlType: "text" });
    await expect(sink.apply(batchAt(0, { schema, table: name }, [upsert("a", 1, "x")]))).rejects.toMatchObject(refused);
    await expect(
      sink.apply(batchAt(0, { schema, table: "fine" }, [upsert("a", 1, "x", column)])),
    ).rejects.toMatchObject(refused);
    expect((await pool.query("SELECT to_regclass('fine') AS found")).rows).toEqual([{ found: null }]);
  });
});

describe("a table whose records change their schema", () => {
  const wider = schemaOf(...textSchema.columns, { name: "price", sqlType: "integer" });

  test("gets the new columns", async () => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const table = { schema, table: "products" };
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    await sink.apply(batchAt(1, table, [upsert("b", 2, "2", wider)]));
    expect((await pool.query("SELECT * FROM products ORDER BY _id")).rows).toEqual([
      { _id: "a", _version: "1", value: "1", price: null },
      { _id: "b", _version: "2", value: "2", price: 2 },
    ]);
  });

  test("keeps no old value in columns that the newest record's schema lacks", async () => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const table = { schema, table: "products" };
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    await sink.apply(batchAt(1, table, [upsert("a", 2, "2", wider)]));
    await sink.apply(batchAt(2, table, [upsert("a", 3, "3")]));
    expect((await pool.query("SELECT * FROM products")).rows).toEqual([
      { _id: "a", _version: "3", value: "3", price: null },
    ]);
  });

  test("keeps none either where another process added the column, or after a restart", async () => {
    const { schema, pool, sink, openSink } = await freshSink();
    await sink.readProgress([0, 1].map((partition) => ({ topic: "t", partition })));
    const table = { schema, table: "products" };
    await sink.apply(batchAt(0, table, [upsert("z", 1, "1")]));
    await openSink().apply(batchAt(0, table, [upsert("a", 2, "2", wider), upsert("b", 2, "2", wider)], 1));
    await sink.apply(batchAt(1, table, [upsert("a", 3, "3")]));
    await openSink().apply(batchAt(2, table, [upsert("b", 3, "3")]));
    expect((await pool.query("SELECT * FROM products WHERE _id < 'z' ORDER BY _id")).rows).toEqual([
      { _id: "a", _version: "3", value: "3", price: null },
      { _id: "b", _version: "3", value: "3", price: null },
    ]);
  });

  test("keeps its rows when a column is widened", async () => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const table = { schema, table: "products" };
    const narrow = schemaOf({ name: "n", sqlType: "integer" }, { name: "s", sqlType: "character varying(3)" });
    const wide = schemaOf({ name: "n", sqlType: "numeric" }, { name: "s", sqlType: "text" });
    await sink.apply(batchAt(0, table, [upsert("a", 1, "123", narrow)]));
    await sink.apply(batchAt(1, table, [upsert("b", 2, "12345678901234567890", wide), upsert("c", 3, "9", narrow)]));
    expect((await pool.query("SELECT * FROM products ORDER BY _id")).rows).toEqual([
      { _id: "a", _version: "1", n: "123", s: "123" },
      { _id: "b", _version: "2", n: "12345678901234567890", s: "12345678901234567890" },
      { _id: "c", _version: "3", n: "9", s: "9" },
    ]);
  });

  test("is refused where a column would need another type", async () => {
    const { schema, pool, sink } = await freshSink();
    await sink.readProgress([{ topic: "t", partition: 0 }]);
    const table = { schema, table: "products" };
    await sink.apply(batchAt(0, table, [upsert("a", 1, "1")]));
    const other = schemaOf({ name: "value", sqlType: "bigint" });
    await expect(sink.apply(batchAt(1, table, [upsert("a", 2, "2", other)]))).rejects.toMatchObject({
      code: "TABLE_DOES_NOT_FIT",
      kind: "fatal",
      message: expect.stringContaining('"value" is text') as string,
    });
    expect((await pool.query("SELECT _version, value FROM products")).rows).toEqual([{ _version: "1", value: "1" }]);
  });
});
