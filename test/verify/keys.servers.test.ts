import { Binary, Decimal128, Double, Int32, Long, ObjectId, UUID } from "mongodb";
import { describe, expect, test } from "vitest";
import { findings, freshComparison, nothing } from "./fixture.ts";
import type { Comparison } from "./fixture.ts";

const createTable = (type: string): string => `CREATE TABLE things (_id ${type} PRIMARY KEY, doc jsonb)`;

async function insertRow(comparison: Comparison, key: string, doc: string): Promise<void> {
  await comparison.sql("INSERT INTO things VALUES ($1, $2)", [key, doc]);
}

describe("keys of one type", () => {
  test("ObjectIds, a row whose key is not an ObjectId, and one in capitals", async () => {
    const comparison = await freshComparison("objectId");
    const ids = Array.from({ length: 3_000 }, () => new ObjectId());
    await comparison.insert(ids.map((_id, n) => ({ _id, n: new Int32(n) })));
    await comparison.sql(createTable("text"));
    await comparison.sql(
      `INSERT INTO things SELECT id, jsonb_build_object('_id', id, 'n', n - 1)
       FROM unnest($1::text[]) WITH ORDINALITY AS t(id, n)`,
      [ids.map((id) => id.toHexString())],
    );
    expect(findings(await comparison.compareThings())).toEqual(nothing);
    const [first = "", second = ""] = ids.map((id) => id.toHexString());
    await comparison.sql("UPDATE things SET _id = upper(_id) || 'A' WHERE _id = $1", [first]);
    await comparison.sql("UPDATE things SET _id = '7' WHERE _id = $1", [second]);
    const result = await comparison.compareThings();
    expect(findings(result)).toMatchObject({
      missing: [first, second].toSorted(),
      extra: ["7", `${first.toUpperCase()}A`].toSorted(),
      different: [],
    });
  });

  test("strings that differ only in case, in a collection with a case-insensitive collation", async () => {
    const comparison = await freshComparison("string");
    await comparison.source.db.createCollection("things", { collation: { locale: "en", strength: 2 } });
    await comparison.insert([{ _id: "Äpfel" }, { _id: 'b"\\c' }, { _id: "" }]);
    await comparison.sql(createTable("text"));
    await insertRow(comparison, "Äpfel", '{"_id": "Äpfel"}');
    await insertRow(comparison, 'b"\\c', '{"_id": "b\\"\\\\c"}');
    await insertRow(comparison, "", '{"_id": ""}');
    expect(findings(await comparison.compareThings())).toEqual(nothing);
    await insertRow(comparison, "äpfel", '{"_id": "äpfel"}');
    expect(findings(await comparison.compareThings())).toEqual({ ...nothing, extra: ["äpfel"] });
  });

  test("integers of every BSON type", async () => {
    const comparison = await freshComparison("integer");
    await comparison.insert([
      { _id: new Int32(7), a: true },
      { _id: Long.fromString("-9223372036854775808") },
      { _id: new Double(2 ** 62) },
      { _id: Decimal128.fromString("8.00") },
    ]);
    await comparison.sql(createTable("bigint"));
    await insertRow(comparison, "7", '{"_id": 7, "a": true}');
    await insertRow(comparison, "-9223372036854775808", '{"_id": -9223372036854775808}');
    await insertRow(comparison, "4611686018427387904", '{"_id": 4611686018427387904}');
    await insertRow(comparison, "8", '{"_id": 8.00}');
    // jsonb has the double's shortest text, the key all digits of its value.
    expect(findings(await comparison.compareThings())).toEqual({
      ...nothing,
      different: ["4611686018427387904"],
      differentColumns: { doc: 1 },
    });
    await comparison.sql("UPDATE things SET doc = '{\"_id\": 4611686018427388000}' WHERE _id = 4611686018427387904");
    expect(findings(await comparison.compareThings())).toEqual(nothing);
  });

  test("UUIDs", async () => {
    const comparison = await freshComparison("uuid");
    const id = new UUID();
    await comparison.insert([{ _id: id }, { _id: new Binary(Buffer.alloc(16), 0) }]);
    await comparison.sql(createTable("uuid"));
    await insertRow(comparison, id.toHexString(), JSON.stringify({ _id: id.toHexString() }));
    expect(findings(await comparison.compareThings())).toEqual({
      ...nothing,
      missing: ['{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAAAA==","subType":"00"}}'],
    });
  });

  test("an _id of another type is listed as missing, in Extended JSON", async () => {
    const comparison = await freshComparison("integer");
    await comparison.insert([{ _id: new Int32(1) }, { _id: "one" as never }, { _id: new Double(1.5) }]);
    await comparison.sql(createTable("bigint"));
    await insertRow(comparison, "1", '{"_id": 1}');
    const result = await comparison.compare({
      openDeadLetters: async (_collection, found) => new Set([...found.keys()].filter((key) => key.includes("one"))),
    });
    expect(result.equal).toBe(false);
    expect(result.collections[0]).toMatchObject({
      missing: ['{"$numberDecimal":"1.5"}'],
      deadLettered: ['"one"'],
      deadLetteredCount: 1,
    });
  });
});

test("mixed keys", async () => {
  const comparison = await freshComparison("mixed");
  const ids: readonly [id: unknown, key: string, plain: string][] = [
    [new Int32(7), '{"$numberLong":"7"}', "7"],
    [new Double(0.1), '{"$numberDouble":"0.1"}', "0.1"],
    [Decimal128.fromString("0.1"), '{"$numberDecimal":"0.1"}', "0.1"],
    [new Double(Number.NaN), '{"$numberDouble":"NaN"}', '"NaN"'],
    ["7", '"7"', '"7"'],
    [null, "null", "null"],
    [true, "true", "true"],
    [new Date(5), '{"$date":{"$numberLong":"5"}}', '"1970-01-01T00:00:00.005Z"'],
    [new ObjectId("0123456789abcdef01234567"), '{"$oid":"0123456789abcdef01234567"}', '"0123456789abcdef01234567"'],
    [
      new Map<string, unknown>([
        ["b", new Int32(1)],
        ["2", "x"],
      ]),
      '{"b":{"$numberLong":"1"},"2":"x"}',
      '{"b": 1, "2": "x"}',
    ],
    [
      new Map<string, unknown>([
        ["2", "x"],
        ["b", new Double(1)],
      ]),
      '{"2":"x","b":{"$numberLong":"1"}}',
      '{"b": 1, "2": "x"}',
    ],
    [new Binary(Buffer.from("hi"), 5), '{"$binary":{"base64":"aGk=","subType":"05"}}', '"aGk="'],
  ];
  await comparison.insert(ids.map(([_id]) => ({ _id: _id as never })));
  await comparison.sql(createTable("text"));
  for (const [, key, plain] of ids) await insertRow(comparison, key, `{"_id": ${plain}}`);
  expect(findings(await comparison.compareThings())).toEqual(nothing);

  const strangers = [
    '{"$numberLong":"8"}',
    '{"$numberInt":"7"}',
    '{"$numberDecimal":"7.0"}',
    "7",
    "no json",
    '{"a":1}',
    '{"$oid":"x"}',
  ];
  for (const key of strangers) await insertRow(comparison, key, '{"_id": 7}');
  await comparison.sql(`DELETE FROM things WHERE _id = '"7"'`);
  expect(findings(await comparison.compareThings())).toEqual({
    ...nothing,
    missing: ['"7"'],
    extra: strangers.toSorted(),
  });
});

describe("without a table or a collection", () => {
  test("a missing table and a missing collection are equal", async () => {
    const comparison = await freshComparison("objectId");
    expect(await comparison.compareThings()).toMatchObject({ documents: 0, rows: 0, ...nothing });
  });

  test("without a table every document is missing; without a collection every row is extra", async () => {
    const comparison = await freshComparison("integer");
    await comparison.insert(Array.from({ length: 2_500 }, (_, i) => ({ _id: new Int32(i) as never })));
    const missing = await comparison.compareThings();
    expect(missing).toMatchObject({ documents: 2_500, rows: 0, missingCount: 2_500 });
    expect(missing.missing).toHaveLength(100);
    await comparison.source.db.dropCollection("things");
    await comparison.sql(createTable("bigint"));
    await comparison.sql("INSERT INTO things SELECT i, '{}' FROM generate_series(1, 12345) i");
    expect(await comparison.compareThings()).toMatchObject({ documents: 0, rows: 12_345, extraCount: 12_345 });
  });
});
