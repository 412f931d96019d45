import { Binary, Decimal128, Double, Int32, Long, ObjectId, UUID } from "mongodb";
import { beforeAll, describe, expect, test } from "vitest";
import { findings, freshComparison, nothing } from "../fixture.ts";
import type { Comparison } from "../fixture.ts";

const count = 4_000;

/** The INSERT of a row, written with PostgreSQL's own functions, so that no code of the pipeline is used. */
const columns = {
  title: "text",
  code: "varchar(12)",
  flag: "char(2)",
  small: "smallint",
  whole: "integer",
  big: "bigint",
  single: "real",
  ratio: "double precision",
  price: "numeric",
  amount: "numeric(10,2)",
  active: "boolean",
  day: "date",
  local_at: "timestamp",
  at: "timestamptz",
  token: "uuid",
  content: "bytea",
  width: { path: ["dims", "w"], type: "double precision" },
  nested: "jsonb",
  tags: "text[]",
  numbers: "integer[]",
  moments: "timestamptz[]",
};

const uuidOf = (i: number): string => `00000000-0000-4000-8000-${i.toString(16).padStart(12, "0")}`;
const base = Date.parse("2024-02-28T23:59:59.123Z");

function document(i: number): object {
  return {
    _id: new Int32(i),
    title: `Title "${i}" \\ ü 🎈`,
    code: `c${i}`,
    flag: "ab",
    small: new Int32(i % 1000),
    whole: new Double(i * 7),
    big: Long.fromBigInt(9_007_199_254_740_993n + BigInt(i)),
    single: new Double(i / 4),
    ratio: new Double(i / 3),
    price: Decimal128.fromString(`${i}.50`),
    amount: new Double(i + 0.25),
    active: i % 2 === 0,
    day: new Date(i * 86_400_000),
    local_at: new Date(base + i),
    at: new Date(base - i * 1_000_003),
    token: new UUID(uuidOf(i)),
    content: new Binary(Buffer.from(`bytes ${i}`)),
    dims: { w: new Double(i / 8), h: new Int32(i) },
    nested: { list: [new Int32(i), { deep: Long.fromBigInt(9_007_199_254_740_993n) }], when: new Date(base) },
    tags: [`t${i}`, null, 'with "quotes", commas'],
    numbers: [new Int32(i), new Double(2)],
    moments: [new Date(base + i)],
    undeclared: { oid: new ObjectId("0123456789abcdef01234567"), n: new Int32(i) },
    misfit: `not a column ${i}`,
  };
}

const createTable = `CREATE TABLE things (
  _id bigint PRIMARY KEY, _version bigint, title text, code varchar(12), flag char(2), small smallint, whole integer,
  big bigint, single real, ratio double precision, price numeric, amount numeric(10,2), active boolean, day date,
  local_at timestamp, at timestamptz, token uuid, content bytea, width double precision, nested jsonb, tags text[],
  numbers integer[], moments timestamptz[], _extra jsonb)`;

/** $1: the first id, $2: the last one, $3: ms since 1970. */
const insertRows = `INSERT INTO things
  SELECT i, 1, 'Title "' || i || '" \\ ü 🎈', 'c' || i, 'ab', i % 1000, i * 7, 9007199254740993 + i, i / 4.0,
    i::float8 / 3, i + 0.50, i + 0.25, i % 2 = 0, date '1970-01-01' + i,
    timestamp '1970-01-01' + ($3::bigint + i) * interval '1 ms',
    (timestamp '1970-01-01' + ($3::bigint - i::bigint * 1000003) * interval '1 ms') AT TIME ZONE 'UTC',
    ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, convert_to('bytes ' || i, 'UTF8'), i::float8 / 8,
    jsonb_build_object('list', jsonb_build_array(i, jsonb_build_object('deep', 9007199254740993)),
      'when', '2024-02-28T23:59:59.123Z'),
    ARRAY['t' || i, NULL, 'with "quotes", commas'], ARRAY[i, 2],
    ARRAY[(timestamp '1970-01-01' + ($3::bigint + i) * interval '1 ms') AT TIME ZONE 'UTC'],
    jsonb_build_object(
      'dims', jsonb_build_object('h', jsonb_build_object('$numberInt', i::text)),
      'undeclared', jsonb_build_object('oid', jsonb_build_object('$oid', '0123456789abcdef01234567'),
        'n', jsonb_build_object('$numberInt', i::text)),
      'misfit', 'not a column ' || i)
  FROM generate_series($1::int, $2::int) i`;

/** Changes of one column of row k that verify must find. */
const changes: readonly [column: string, sql: string][] = [
  ["title", "title = title || ' '"],
  ["code", "code = upper(code)"],
  ["flag", "flag = 'ac'"],
  ["small", "small = small + 1"],
  ["whole", "whole = -whole - 1"],
  ["big", "big = big + 1"],
  ["single", "single = single + 0.25"],
  ["ratio", "ratio = ratio + 2 ^ (floor(log(2, ratio::numeric)) - 52)"],
  ["price", "price = price + 0.000000000000000000000000000000001"],
  ["amount", "amount = amount + 0.01"],
  ["active", "active = NOT active"],
  ["day", "day = day + 1"],
  ["local_at", "local_at = local_at + interval '1 ms'"],
  ["at", "at = at + interval '1 ms'"],
  ["at", "at = at + interval '1 microsecond'"],
  ["token", "token = 'ffffffff-0000-4000-8000-000000000000'"],
  ["content", "content = content || '\\x00'"],
  ["width", "width = width + 1"],
  ["nested", "nested = jsonb_set(nested, '{list,1,deep}', '9007199254740992')"],
  ["nested", "nested = nested || '{\"added\": null}'"],
  ["nested", "nested = nested - 'when'"],
  ["tags", "tags = ARRAY[tags[3], tags[2], tags[1]]"],
  ["tags", "tags[2] = ''"],
  ["numbers", "numbers = numbers || 3"],
  ["moments", "moments[1] = moments[1] - interval '1 ms'"],
  ["_extra", "_extra = jsonb_set(_extra, '{dims,h,$numberInt}', '\"-1\"')"],
  ["_extra", "_extra = _extra - 'misfit'"],
  ["_extra", '_extra = _extra || \'{"title": "twice"}\''],
  ["_extra", "_extra = NULL"],
  ["title", "title = NULL"],
];

describe("typed columns", () => {
  let comparison: Comparison;

  beforeAll(async () => {
    comparison = await freshComparison("integer", columns);
    await comparison.insert(Array.from({ length: count }, (_, i) => document(i + 1)));
    await comparison.sql(createTable);
    await comparison.sql(insertRows, [1, count, base]);
  });

  test("equal rows are equal, in every column type", async () => {
    const result = await comparison.compare();
    expect(result).toMatchObject({ equal: true, caughtUp: null });
    expect(result.collections[0]).toMatchObject({ documents: count, rows: count, ...nothing });
  });

  test("exactly the changed rows are found", async () => {
    const planted = changes.map(([column, sql], i) => ({ key: 7 + i * 100, column, sql }));
    for (const { key, sql } of planted) await comparison.sql(`UPDATE things SET ${sql} WHERE _id = ${key}`);
    const result = await comparison.compare();
    expect(result).toMatchObject({ equal: false, caughtUp: true });
    const byColumn: Record<string, number> = {};
    for (const { column } of planted) byColumn[column] = (byColumn[column] ?? 0) + 1;
    expect(result.collections[0]).toMatchObject({ documents: count, rows: count, differentCount: planted.length });
    expect(findings(result.collections[0] as never)).toEqual({
      missing: [],
      extra: [],
      different: planted.map(({ key }) => String(key)).toSorted(),
      differentColumns: byColumn,
    });
    await comparison.sql("DELETE FROM things WHERE _id = ANY($1)", [planted.map(({ key }) => key)]);
    for (const { key } of planted) await comparison.sql(insertRows, [key, key, base]);
    expect(findings(await comparison.compareThings())).toEqual(nothing);
  });

  test("zeros at the end of a numeric and the order of names in jsonb make no difference", async () => {
    await comparison.sql("UPDATE things SET price = price + 0.00000, nested = (nested::text)::jsonb WHERE _id <= 50");
    expect(findings(await comparison.compareThings())).toEqual(nothing);
  });

  test("missing rows, extra rows and two swapped rows are found", async () => {
    await comparison.sql("DELETE FROM things WHERE _id IN (11, 3999)");
    await comparison.sql(insertRows, [count + 1, count + 2, base]);
    await comparison.sql(insertRows, [-3, -3, base]);
    await comparison.sql("UPDATE things SET _id = CASE _id WHEN 20 THEN -20 ELSE -21 END WHERE _id IN (20, 21)");
    await comparison.sql("UPDATE things SET _id = CASE _id WHEN -20 THEN 21 ELSE 20 END WHERE _id IN (-20, -21)");
    const result = await comparison.compareThings();
    expect(result).toMatchObject({ documents: count, rows: count + 1, missingCount: 2, extraCount: 3 });
    expect(findings(result)).toMatchObject({
      missing: ["11", "3999"],
      extra: ["-3", "4001", "4002"],
      different: ["20", "21"],
    });
    await comparison.sql("DELETE FROM things WHERE _id IN (20, 21, 4001, 4002, -3)");
    await comparison.sql(insertRows, [20, 21, base]);
    await comparison.sql(insertRows, [11, 11, base]);
    await comparison.sql(insertRows, [3999, 3999, base]);
    expect(findings(await comparison.compareThings())).toEqual(nothing);
  });

  test("a column that is missing in the table is a difference in every row that needs it", async () => {
    await comparison.sql("ALTER TABLE things RENAME COLUMN title TO heading");
    const result = await comparison.compareThings();
    await comparison.sql("ALTER TABLE things RENAME COLUMN heading TO title");
    expect(result).toMatchObject({ differentCount: count, differentColumns: { title: count } });
    expect(result.different).toHaveLength(100);
  });

  test("rows that have everything in _extra count as different, although nothing is lost", async () => {
    await comparison.sql(
      `UPDATE things SET whole = NULL, _extra = _extra || jsonb_build_object('whole', jsonb_build_object('$numberDouble', '35.0'))
       WHERE _id = 5`,
    );
    const result = await comparison.compareThings();
    expect(findings(result)).toMatchObject({ different: ["5"], differentColumns: { whole: 1, _extra: 1 } });
    await comparison.sql("DELETE FROM things WHERE _id = 5");
    await comparison.sql(insertRows, [5, 5, base]);
  });
});
