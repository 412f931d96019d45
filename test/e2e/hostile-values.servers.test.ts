// Values that break other pipelines, each through the whole pipeline: MongoDB → Kafka → PostgreSQL.
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  DBRef,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
  type Document,
} from "mongodb";
import { beforeAll, describe, expect, test } from "vitest";
import { freshPipeline, type Pipeline } from "../support/pipeline.ts";

const uuid = "0189f7ea-ae2c-7a30-8b3b-1f2b1c3d4e5f";
const objectId = new ObjectId("65a1b2c3d4e5f60718293a4b");
const longName = "ü".repeat(200);

const documents: Document[] = [
  { _id: "nul", text: "a\u0000b", nested: { deep: ["x\u0000"] } },
  { _id: "nan", float: Number.NaN, number: Decimal128.fromString("NaN"), nested: { v: Number.NaN } },
  { _id: "infinity", float: -Infinity, number: Decimal128.fromString("Infinity"), nested: { v: Infinity } },
  { _id: "dates", moment: new Date("0001-01-01T00:00:00Z"), nested: { at: new Date("2024-02-29T12:00:00.123Z") } },
  { _id: "decimal", number: Decimal128.fromString("1234567890123456789012345678901.234") },
  { _id: "narrow fits", narrow: Decimal128.fromString("12345.67") },
  { _id: "narrow misfit", narrow: Decimal128.fromString("1.005") },
  { _id: "long", integer: Long.fromString("9007199254740993"), nested: { v: Long.fromString("9223372036854775807") } },
  { _id: "integral double", integer: new Double(7) },
  { _id: "fraction in integer", integer: new Double(2.5) },
  { _id: "text in integer", integer: "seven" },
  { _id: "integer in text", text: new Int32(7) },
  { _id: "heterogeneous array", list: [1, "x", {}], nested: [1, "x", {}] },
  { _id: "typed array", list: [new Int32(1), null, Long.fromNumber(3)] },
  {
    _id: "odd types",
    text: new BSONSymbol("sym"),
    number: new MinKey(),
    nested: {
      max: new MaxKey(),
      code: new Code("f()"),
      re: new BSONRegExp("^a", "i"),
      ts: new Timestamp({ t: 1, i: 2 }),
    },
    ref: new DBRef("other", objectId),
  },
  { _id: "identities", text: objectId, unique: new UUID(uuid), raw: new Binary(Buffer.from([0, 255])) },
  { _id: "names", "dotted.name": 1, $dollar: 2, "": 3, [longName]: 4, select: 5, Name: 6, name: 7, __proto: 8 },
  { _id: "structure", a: { b: 1 }, a_b: 2, nested: {} },
  { _id: "null and absent", text: null },
];

let pipeline: Pipeline;

async function row(table: string, key: string): Promise<Record<string, unknown>> {
  const { rows } = await pipeline.pool.query<{ row: Record<string, unknown> }>(
    `SELECT to_jsonb(t) - '_id' - '_version' AS row FROM ${table} AS t WHERE _id = $1`,
    [key],
  );
  expect(rows).toHaveLength(1);
  return rows[0]!.row;
}

beforeAll(async () => {
  pipeline = await freshPipeline({
    collections: {
      typed: {
        columns: {
          text: "text",
          float: "double precision",
          number: "numeric",
          narrow: "numeric(7,2)",
          integer: "bigint",
          moment: "timestamptz",
          list: "bigint[]",
          nested: "jsonb",
          unique: "uuid",
          raw: "bytea",
          select: "integer",
          Name: "integer",
          name: "integer",
        },
      },
      plain: {},
      odd_keys: {},
    },
  });
  await pipeline.db.collection("typed").insertMany(documents);
  await pipeline.db.collection("plain").insertMany(documents);
  await pipeline.db.collection<{ _id: unknown; v: number }>("odd_keys").insertMany([
    { _id: 7, v: 1 },
    { _id: "7", v: 2 },
    { _id: { region: "eu", n: 1 }, v: 3 },
    { _id: 2.5, v: 4 },
    { _id: objectId, v: 5 },
    { _id: null, v: 6 },
    { _id: true, v: 7 },
    { _id: new Date(0), v: 8 },
  ]);
  const { exitCode, stderr } = await pipeline.run("run", "--once");
  expect(exitCode, stderr).toBe(0);
});

test("all hostile values verify as equal", async () => {
  const { stdout, stderr } = await pipeline.run("verify", "--json");
  expect(JSON.parse(stdout), stderr).toMatchObject({ equal: true });
});

test("a NUL byte becomes U+FFFD, also in nested texts", async () => {
  expect(await row("typed", "nul")).toMatchObject({ text: "a\uFFFDb", nested: { deep: ["x\uFFFD"] } });
  expect(await row("plain", "nul")).toMatchObject({ doc: { text: "a\uFFFDb", nested: { deep: ["x\uFFFD"] } } });
});

test("documents.nulCharacters: strip removes a NUL byte, and verify expects that", async () => {
  const stripping = await freshPipeline({
    documents: { nulCharacters: "strip" },
    collections: { typed: { columns: { text: "text" } }, plain: {} },
  });
  for (const name of ["typed", "plain"]) await stripping.db.collection(name).insertMany(documents.slice(0, 2));
  const { exitCode, stderr } = await stripping.run("run", "--once");
  expect(exitCode, stderr).toBe(0);
  const { rows } = await stripping.pool.query("SELECT text, _extra->'nested' AS nested FROM typed WHERE _id = 'nul'");
  expect(rows).toEqual([{ text: "ab", nested: { deep: ["x"] } }]);
  const { stdout } = await stripping.run("verify", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ equal: true });
});

test("NaN and infinities are native in float and numeric columns, and strings in jsonb", async () => {
  const { rows } = await pipeline.pool.query(
    "SELECT _id, float::text, number::text, nested FROM typed WHERE _id IN ('nan', 'infinity') ORDER BY _id",
  );
  expect(rows).toEqual([
    { _id: "infinity", float: "-Infinity", number: "Infinity", nested: { v: "Infinity" } },
    { _id: "nan", float: "NaN", number: "NaN", nested: { v: "NaN" } },
  ]);
});

test("dates keep their milliseconds, nested ones as ISO 8601", async () => {
  const { rows } = await pipeline.pool.query(
    "SELECT extract(epoch FROM moment)::text AS epoch, nested FROM typed WHERE _id = 'dates'",
  );
  expect(rows).toEqual([{ epoch: "-62135596800.000000", nested: { at: "2024-02-29T12:00:00.123Z" } }]);
});

test("Decimal128 keeps all of its digits, and stays in _extra where a numeric column would round it", async () => {
  const { rows } = await pipeline.pool.query("SELECT number::text FROM typed WHERE _id = 'decimal'");
  expect(rows).toEqual([{ number: "1234567890123456789012345678901.234" }]);
  expect(await row("typed", "narrow fits")).toMatchObject({ narrow: 12345.67, _extra: null });
  expect(await row("typed", "narrow misfit")).toMatchObject({
    narrow: null,
    _extra: { narrow: { $numberDecimal: "1.005" } },
  });
});

test("int64 beyond 2^53 keeps every digit, in a column and nested", async () => {
  const { rows } = await pipeline.pool.query(
    "SELECT integer::text, nested->>'v' AS nested FROM typed WHERE _id = 'long'",
  );
  expect(rows).toEqual([{ integer: "9007199254740993", nested: "9223372036854775807" }]);
});

describe("a value of another type than its column", () => {
  test("fits if it is the same number", async () => {
    expect(await row("typed", "integral double")).toMatchObject({ integer: 7, _extra: null });
  });

  test.for([
    ["fraction in integer", "integer", { $numberDouble: "2.5" }],
    ["text in integer", "integer", "seven"],
    ["integer in text", "text", { $numberInt: "7" }],
    ["heterogeneous array", "list", [{ $numberInt: "1" }, "x", {}]],
    ["odd types", "number", { $minKey: 1 }],
  ] as const)("is kept in _extra: %s", async ([key, column, extra]) => {
    const shown = await row("typed", key);
    expect(shown[column]).toBeNull();
    expect((shown["_extra"] as Record<string, unknown>)[column]).toEqual(extra);
  });
});

test("typed arrays keep their nulls, and mixed ones are plain JSON in jsonb", async () => {
  expect(await row("typed", "typed array")).toMatchObject({ list: [1, null, 3] });
  expect(await row("typed", "heterogeneous array")).toMatchObject({ nested: [1, "x", {}] });
});

test("ObjectId, UUID and Binary have columns of their kind", async () => {
  expect(await row("typed", "identities")).toMatchObject({
    text: objectId.toHexString(),
    unique: uuid,
    raw: "\\x00ff",
    _extra: null,
  });
});

test("dotted, dollar, empty, long, reserved and case-only different names are kept apart", async () => {
  const shown = await row("typed", "names");
  expect(shown).toMatchObject({ select: 5, Name: 6, name: 7 });
  expect(shown["_extra"]).toMatchObject({
    "dotted.name": { $numberInt: "1" },
    $dollar: { $numberInt: "2" },
    "": { $numberInt: "3" },
    [longName]: { $numberInt: "4" },
  });
  expect(await row("plain", "names")).toMatchObject({ doc: { "dotted.name": 1, "": 3, Name: 6, name: 7 } });
});

test("a nested field and a field of the joined name stay apart", async () => {
  expect((await row("plain", "structure"))["doc"]).toEqual({ _id: "structure", a: { b: 1 }, a_b: 2, nested: {} });
});

test("keys of different types are different rows", async () => {
  const { rows } = await pipeline.pool.query("SELECT doc->'v' AS v FROM odd_keys ORDER BY 1");
  expect(rows.map((each: { v: number }) => each.v)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});
