import { Binary, Decimal128, Double, Int32, Long, MinKey, ObjectId, UUID, serialize } from "bson";
import { describe, expect, test } from "vitest";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import type { CollectionMapping } from "../../../src/schemas/mapping/mapping.ts";
import { readBson } from "../../../src/verify/values/bson.ts";
import { comparedColumns, differingColumns } from "../../../src/verify/values/document-row.ts";

function columns(mapped: Readonly<Record<string, string>>): CollectionMapping {
  return {
    collection: "c",
    mode: "columns",
    children: [],
    columns: Object.entries(mapped).map(([path, type]) => ({
      name: path,
      path: path.split("."),
      type: parseColumnType(type),
    })),
    idType: "mixed",
  };
}

const documentMode: CollectionMapping = {
  collection: "c",
  mode: "document",
  columns: [],
  children: [],
  idType: "mixed",
};

type Row = readonly (string | null)[];

function compare(mapping: CollectionMapping, document: object, row: Row): readonly string[] {
  return differingColumns(mapping, readBson(serialize({ _id: 1, ...document }), "\ufffd"), row);
}

/** A date beyond the range of JavaScript. */
function compareDate(type: string, ms: bigint, row: Row): readonly string[] {
  const raw = serialize({ v: new Date(0) });
  Buffer.from(raw.buffer, raw.byteOffset).writeBigInt64LE(ms, 7);
  return differingColumns(columns({ v: type }), readBson(raw, "\ufffd"), row);
}

const uuid = "01234567-89ab-cdef-0123-456789abcdef";
const hex = "0123456789abcdef01234567";

describe("a value that fits must be in its column", () => {
  const cases: readonly [type: string, value: unknown, text: string, ...wrong: readonly string[]][] = [
    ["text", "a\0ü", "a\ufffdü", "aü", ""],
    ["text", new ObjectId(hex), hex, hex.toUpperCase()],
    ["text", new UUID(uuid), uuid],
    ["varchar(3)", "🎈🎈🎈", "🎈🎈🎈", "🎈🎈"],
    ["char(3)", "abc", "abc", "abd"],
    ["smallint", new Int32(-32_768), "-32768", "32768"],
    ["integer", new Double(7), "7", "8"],
    ["bigint", Long.MAX_VALUE, "9223372036854775807", "9223372036854775806"],
    ["bigint", Decimal128.fromString("7.00"), "7", "700"],
    ["bigint", new Double(2 ** 53), "9007199254740992", "9007199254740993"],
    ["double precision", new Double(0.1), "0.1", "0.10000000000000002", "0.09999999999999999"],
    ["double precision", new Double(-0), "-0", "0"],
    ["double precision", new Double(Number.NaN), "NaN", "0"],
    ["double precision", new Double(-Infinity), "-Infinity", "Infinity"],
    ["double precision", new Int32(3), "3", "3.0000000000000004"],
    ["double precision", Long.fromString("9007199254740992"), "9007199254740992", "9007199254740994"],
    ["real", new Double(0.1), "0.1", "0.10000001"],
    ["real", new Double(Math.fround(1 / 3)), "0.33333334", "0.33333337"],
    ["numeric", Decimal128.fromString("1.50"), "1.5", "1.51", "15"],
    ["numeric", Decimal128.fromString("1.50"), "1.500"],
    [
      "numeric",
      Decimal128.fromString("-9.999999999999999999999999999999999E+6"),
      `-9999999.${"9".repeat(27)}`,
      "-10000000",
    ],
    ["numeric", Decimal128.fromString("NaN"), "NaN", "0"],
    ["numeric", new Double(Infinity), "Infinity", "-Infinity"],
    ["numeric", new Double(0.1), "0.1", "0.1000000000000000055511151231257827"],
    ["numeric", Long.MIN_VALUE, "-9223372036854775808", "-9223372036854775807"],
    ["numeric(4,2)", new Double(12.34), "12.34", "12.35"],
    ["numeric(4,2)", Decimal128.fromString("99.9000"), "99.90", "99.91"],
    ["numeric(4,2)", Decimal128.fromString("NaN"), "NaN", "0"],
    ["numeric(2,-2)", new Int32(9900), "9900", "9800"],
    ["boolean", true, "t", "f"],
    ["date", new Date("2024-02-29"), "2024-02-29", "2024-03-01"],
    ["timestamp", new Date("2024-02-29T12:34:56.789Z"), "2024-02-29 12:34:56.789", "2024-02-29 12:34:56.79"],
    ["timestamptz", new Date("2024-02-29T12:34:56.789Z"), "2024-02-29 12:34:56.789+00", "2024-02-29 12:34:56.788+00"],
    ["timestamptz", new Date("2024-02-29T12:34:56Z"), "2024-02-29 12:34:56+00", "2024-02-29 12:34:56.000001+00"],
    ["timestamptz", new Date(-1), "1969-12-31 23:59:59.999+00", "1970-01-01 00:00:00+00"],
    ["timestamptz", new Date("-000043-03-15T00:00:00Z"), "0044-03-15 00:00:00+00 BC", "0044-03-15 00:00:00+00"],
    ["uuid", new UUID(uuid), uuid, uuid.replace("0", "1")],
    ["uuid", uuid, uuid],
    ["bytea", new Binary(Buffer.from([0, 255]), 5), "\\x00ff", "\\x00fe", "\\x"],
    [
      "jsonb",
      { a: [new Double(1), "x"] },
      '{"a": [1, "x"]}',
      '{"a": [1, "y"]}',
      '{"a": [1]}',
      '{"a": [1, "x"], "b": null}',
    ],
    ["jsonb", "x", '"x"', '"y"'],
    ["text[]", ["a,b", 'q"\\', "", "NULL", null, "{}"], '{"a,b","q\\"\\\\","","NULL",NULL,"{}"}', '{"a,b"}'],
    ["text[]", [], "{}", "{NULL}", "{{}}"],
    ["integer[]", [1, null, 3], "{1,NULL,3}", "{1,NULL,4}", "{1,0,3}", "{1,3}", "{{1,NULL,3}}", "[0:2]={1,NULL,3}"],
    ["double precision[]", [new Double(1.5), 2], "{1.5,2}", "{2,1.5}"],
    ["timestamptz[]", [new Date(0)], '{"1970-01-01 00:00:00+00"}', '{"1970-01-01 00:00:01+00"}'],
    ["jsonb[]", [{ a: "b" }, 1], '{"{\\"a\\": \\"b\\"}",1}', '{"{\\"a\\": \\"c\\"}",1}'],
    ["boolean[]", [true], "{t}", "{f}"],
  ];

  test.each(cases)("%s of %o", (type, value, text, ...wrong) => {
    const mapping = columns({ v: type });
    expect(compare(mapping, { v: value }, [text, null])).toEqual([]);
    for (const other of wrong) expect(compare(mapping, { v: value }, [other, null]), other).toEqual(["v"]);
    expect(compare(mapping, { v: value }, [null, null])).toEqual(["v"]);
    expect(compare(mapping, {}, [text, null])).toEqual(["v"]);
    expect(compare(mapping, { v: null }, [text, null])).toEqual(["v"]);
    expect(compare(mapping, { v: value }, [text, '{"v": 1}'])).toEqual(["_extra"]);
  });

  test("null and absent are both NULL in a column; a null that a column holds is not in _extra", () => {
    expect(compare(columns({ v: "text" }), {}, [null, null])).toEqual([]);
    expect(compare(columns({ v: "text" }), { v: null }, [null, null])).toEqual([]);
    expect(compare(columns({ v: "text" }), { v: null }, [null, '{"v": null}'])).toEqual(["_extra"]);
  });

  test("dates are exact up to both ends of PostgreSQL's range", () => {
    expect(compareDate("timestamptz", -210_866_803_200_000n, ["4714-11-24 00:00:00+00 BC", null])).toEqual([]);
    expect(compareDate("timestamptz", 9_224_318_015_999_999n, ["294276-12-31 23:59:59.999+00", null])).toEqual([]);
    expect(compareDate("timestamptz", 9_224_318_015_999_998n, ["294276-12-31 23:59:59.999+00", null])).toEqual(["v"]);
    const misfit = (ms: bigint): Row => [null, `{"v": {"$date": {"$numberLong": "${ms}"}}}`];
    for (const ms of [-210_866_803_200_001n, 9_224_318_016_000_000n]) {
      expect(compareDate("timestamptz", ms, misfit(ms))).toEqual([]);
    }
  });
});

describe("a value that does not fit must be in _extra", () => {
  const cases: readonly [type: string, value: unknown, extra: string][] = [
    ["text", 1, '{"$numberInt": "1"}'],
    ["varchar(3)", "abcd", '"abcd"'],
    ["char(3)", "ab", '"ab"'],
    ["char(3)", "ab ", '"ab "'],
    ["smallint", 32_768, '{"$numberInt": "32768"}'],
    ["integer", new Double(7.5), '{"$numberDouble": "7.5"}'],
    ["integer", new Double(-0), '{"$numberDouble": "-0.0"}'],
    ["integer", Decimal128.fromString("-0E+3"), '{"$numberDecimal": "-0E+3"}'],
    ["numeric", new Double(-0), '{"$numberDouble": "-0.0"}'],
    ["numeric", Decimal128.fromString("-0.00"), '{"$numberDecimal": "-0.00"}'],
    ["real", new Double(1.4013e-45), '{"$numberDouble": "1.4013e-45"}'],
    ["bigint", new Double(2 ** 60), '{"$numberDouble": "1152921504606846976.0"}'],
    ["bigint", Decimal128.fromString("1E+19"), '{"$numberDecimal": "1E+19"}'],
    ["double precision", Decimal128.fromString("1"), '{"$numberDecimal": "1"}'],
    ["double precision", Long.fromString("9007199254740993"), '{"$numberLong": "9007199254740993"}'],
    ["real", new Double(0.123456789), '{"$numberDouble": "0.123456789"}'],
    ["numeric(4,2)", new Double(0.001), '{"$numberDouble": "0.001"}'],
    ["numeric(4,2)", new Int32(100), '{"$numberInt": "100"}'],
    ["numeric(4,2)", new Double(Infinity), '{"$numberDouble": "Infinity"}'],
    ["boolean", "true", '"true"'],
    ["date", new Date(1), '{"$date": {"$numberLong": "1"}}'],
    ["timestamptz", "2024-01-01", '"2024-01-01"'],
    ["uuid", uuid.toUpperCase(), `"${uuid.toUpperCase()}"`],
    ["bytea", new Binary(Buffer.alloc(16), 3), '{"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "03"}}'],
    ["text[]", ["a", 1], '["a", {"$numberInt": "1"}]'],
    ["integer[]", 1, '{"$numberInt": "1"}'],
    ["text", new MinKey(), '{"$minKey": 1}'],
  ];

  test.each(cases)("%s of %o", (type, value, extra) => {
    const mapping = columns({ v: type });
    expect(compare(mapping, { v: value }, [null, `{"v": ${extra}}`])).toEqual([]);
    expect(compare(mapping, { v: value }, [null, null])).toEqual(["_extra"]);
    expect(compare(mapping, { v: value }, [null, '{"v": "other"}'])).toEqual(["_extra"]);
    expect(compare(mapping, { v: value }, [null, `{"v": ${extra}, "w": 1}`])).toEqual(["_extra"]);
    expect(compare(mapping, { v: value }, ["1", `{"v": ${extra}}`])).toEqual(["v"]);
  });
});

test("BSON's undefined is not null", () => {
  const raw = Buffer.from(serialize({ v: null }));
  raw[4] = 0x06;
  const document = readBson(raw, "\ufffd");
  expect(differingColumns(columns({ v: "text" }), document, [null, '{"v": {"$undefined": true}}'])).toEqual([]);
  expect(differingColumns(columns({ v: "text" }), document, [null, null])).toEqual(["_extra"]);
  expect(differingColumns(columns({ v: "jsonb" }), document, ['{"$undefined": true}', null])).toEqual([]);
  expect(differingColumns(documentMode, document, ['{"v": {"$undefined": true}}'])).toEqual([]);
});

describe("_extra is the rest of the document", () => {
  const mapping = columns({ a: "text", "d.w": "double precision", "d.e.x": "text" });

  test("without the fields that columns hold, at any depth", () => {
    const document = { a: "x", b: 1, d: { w: 2, h: 3, e: { x: "y", z: null } } };
    const extra = '{"d": {"h": {"$numberInt": "3"}, "e": {"z": null}}, "b": {"$numberInt": "1"}}';
    expect(compare(mapping, document, ["x", "2", "y", extra])).toEqual([]);
    expect(compare(mapping, document, ["x", "2", "y", extra.replace("3", "4")])).toEqual(["_extra"]);
  });

  test("a sub-document that columns hold completely is left out; an empty one stays", () => {
    expect(compare(mapping, { d: { w: 2, e: { x: "y" } } }, [null, "2", "y", null])).toEqual([]);
    expect(compare(mapping, { d: { w: 2, e: {} } }, [null, "2", null, '{"d": {"e": {}}}'])).toEqual([]);
    expect(compare(mapping, { d: {} }, [null, null, null, '{"d": {}}'])).toEqual([]);
    expect(compare(mapping, { d: {} }, [null, null, null, null])).toEqual(["_extra"]);
  });

  test("paths do not lead into arrays", () => {
    const extra = '{"d": [{"w": {"$numberInt": "2"}}]}';
    expect(compare(mapping, { d: [{ w: 2 }] }, [null, null, null, extra])).toEqual([]);
  });

  test("a column for a whole sub-document beside a column for one of its fields", () => {
    const both = columns({ d: "jsonb", "d.w": "double precision" });
    expect(compare(both, { d: { w: 2 } }, ['{"w": 2}', "2", null])).toEqual([]);
    const misfit = columns({ d: "text", "d.w": "double precision" });
    expect(compare(misfit, { d: { w: 2, h: "h" } }, [null, "2", '{"d": {"h": "h"}}'])).toEqual([]);
  });

  test("a column may hold a part of the _id, which is never in _extra", () => {
    const mapped = columns({ "_id.a": "text", _id: "jsonb" });
    expect(compare(mapped, { _id: { a: "x", b: 1 } }, ["x", '{"a": "x", "b": 1}', null])).toEqual([]);
  });
});

describe("document mode", () => {
  test("compares the whole document in its plain form", () => {
    const document = { _id: new ObjectId(hex), n: Long.MAX_VALUE, at: new Date(0), u: new UUID(uuid) };
    const doc = `{"n": 9223372036854775807, "u": "${uuid}", "at": "1970-01-01T00:00:00.000Z", "_id": "${hex}"}`;
    expect(comparedColumns(documentMode)).toEqual(["doc"]);
    expect(compare(documentMode, document, [doc])).toEqual([]);
    expect(compare(documentMode, document, [doc.replace("807", "806")])).toEqual(["doc"]);
    expect(compare(documentMode, document, [doc.replace(`, "_id": "${hex}"`, "")])).toEqual(["doc"]);
    expect(compare(documentMode, document, [null])).toEqual(["doc"]);
  });

  test("knows each type's plain form", () => {
    const plain: readonly [value: unknown, json: string][] = [
      [new Double(7), "7"],
      [new Double(-0), "0"],
      [new Double(1e300), `1${"0".repeat(300)}`],
      [new Double(Number.NaN), '"NaN"'],
      [new Double(-Infinity), '"-Infinity"'],
      [Decimal128.fromString("1.50"), "1.50"],
      [Decimal128.fromString("1E+399"), `1${"0".repeat(399)}`],
      [Decimal128.fromString("1E+400"), '"1E+400"'],
      [Decimal128.fromString("1E-398"), `0.${"0".repeat(397)}1`],
      [Decimal128.fromString("1E-399"), '"1E-399"'],
      [Decimal128.fromString("-0E+500"), "0"],
      [Decimal128.fromString("0E-500"), '"0E-500"'],
      [Decimal128.fromString("Infinity"), '"Infinity"'],
      [new Binary(Buffer.from("hi"), 0), '"aGk="'],
      [new Binary(Buffer.from("hi"), 4), '"aGk="'],
      [new Date("-000001-01-01T00:00:00Z"), '"-000001-01-01T00:00:00.000Z"'],
      [/a/i, '{"$regularExpression": {"options": "i", "pattern": "a"}}'],
      ["\0", '"\ufffd"'],
    ];
    for (const [value, json] of plain) {
      const row = [`{"_id": 1, "v": ${json}}`];
      expect(compare(documentMode, { v: value }, row), json).toEqual([]);
      expect(compare(documentMode, { v: ["other"] }, row)).toEqual(["doc"]);
    }
  });
});
