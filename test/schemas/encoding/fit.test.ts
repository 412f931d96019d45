import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import { COLUMN_TYPES, scalar, uniformArray } from "../formats/arbitrary-bson.ts";
import { type Bson, binary, date, decimal, double, field, int32, int64, text } from "../formats/bson-model.ts";
import { columnOf, columnsOf, createTestEncoder } from "./encoding.ts";
import { extendedJson, parseExactly } from "./expected-json.ts";
import { fitted, MISFIT } from "./expected-record.ts";

const hex = (subtype: number, digits: string): Bson => binary(subtype, Buffer.from(digits, "hex"));

/** Encodes a value for a column of one type. Returns what is in the column and in `_extra`. */
function encoderOf(type: string) {
  const encoder = createTestEncoder(columnsOf({ value: type }));
  return (value: Bson) => {
    const event = encoder.encode([field("value", value)]);
    return { held: columnOf(event, "value"), extra: columnOf(event, "_extra"), misfits: event.misfits };
  };
}

describe.each(COLUMN_TYPES.filter((type) => type !== "jsonb"))("a column of type %s", (type) => {
  it("contains exactly the values that fit; all others are in _extra", () => {
    const encode = encoderOf(type);
    fc.assert(
      fc.property(scalar, (value) => {
        const { held, extra, misfits } = encode(value);
        const expected = fitted(parseColumnType(type), value);
        if (value.type === "null" || expected !== MISFIT) {
          expect(held).toEqual(value.type === "null" ? null : expected);
          expect(extra).toBeNull();
        } else {
          expect(held).toBeNull();
          expect(parseExactly(extra as string)).toEqual({ value: parseExactly(extendedJson(value)) });
          expect(misfits).toContain("value");
        }
      }),
      { numRuns: 1500 },
    );
  });

  it("contains, as an array, exactly the arrays whose items all fit or are null", () => {
    const encode = encoderOf(`${type}[]`);
    fc.assert(
      fc.property(uniformArray, (value) => {
        const expected = fitted(parseColumnType(`${type}[]`), value);
        expect(encode(value).held).toEqual(expected === MISFIT ? null : expected);
      }),
      { numRuns: 500 },
    );
  });
});

const UUID = "00112233445566778899aabbccddeeff";
const UUID_TEXT = "00112233-4455-6677-8899-aabbccddeeff";

/** Column type, value, content of the column. */
const FITTING: readonly [string, Bson, unknown][] = [
  ["text", text(""), ""],
  ["text", { type: "objectId", bytes: Buffer.from("00112233445566778899aabb", "hex") }, "00112233445566778899aabb"],
  ["text", hex(4, UUID), UUID_TEXT],
  ["varchar(3)", text("ü€😀"), "ü€😀"],
  ["char(3)", text("a b"), "a b"],
  ["smallint", int32(-32_768), -32_768n],
  ["integer", double(7), 7n],
  ["integer", decimal("7.00"), 7n],
  ["integer", decimal("1E+3"), 1000n],
  ["integer", int64(-2_147_483_648n), -2_147_483_648n],
  ["bigint", double(2 ** 53), 9_007_199_254_740_992n],
  ["bigint", double(-(2 ** 53)), -9_007_199_254_740_992n],
  ["bigint", decimal("-9223372036854775808"), -9_223_372_036_854_775_808n],
  ["bigint", decimal("0E+3"), 0n],
  ["bigint", int64(9_223_372_036_854_775_807n), 9_223_372_036_854_775_807n],
  ["real", double(0.1), 0.1],
  ["real", double(Math.fround(0.1)), Math.fround(0.1)],
  ["real", double(-0), -0],
  ["real", double(Number.NaN), Number.NaN],
  ["double precision", double(-0), -0],
  ["double precision", double(-Infinity), -Infinity],
  ["double precision", int64(9_007_199_254_740_992n), 9_007_199_254_740_992],
  ["numeric", double(0.1), "0.1"],
  ["numeric", double(Number.NaN), "NaN"],
  ["numeric", double(-Infinity), "-Infinity"],
  ["numeric", decimal("1.20"), "1.20"],
  ["numeric", decimal("Infinity"), "Infinity"],
  ["numeric(5,2)", decimal("999.990"), "999.990"],
  ["numeric(5,2)", double(Number.NaN), "NaN"],
  ["numeric(3,-2)", int32(99_900), "99900"],
  ["numeric(2,4)", double(0.0099), "0.0099"],
  ["uuid", text(UUID_TEXT), UUID_TEXT],
  ["uuid", hex(4, UUID), UUID_TEXT],
  ["bytea", hex(2, "0102"), Buffer.from([1, 2])],
  ["bytea", hex(128, ""), Buffer.alloc(0)],
  ["date", date(-210_866_803_200_000n), -2_440_588],
  ["date", date(-86_400_000n), -1],
  ["date", date(9_224_317_929_600_000n), 106_762_939],
  ["timestamptz", date(9_224_318_015_999_999n), 9_224_318_015_999_999n],
  ["timestamp", date(-210_866_803_200_000n), -210_866_803_200_000n],
  ["text[]", { type: "array", items: [] }, []],
  ["text[]", { type: "array", items: [text("a"), { type: "null" }] }, ["a", null]],
];

it.each(FITTING)("%s holds %o", (type, value, expected) => {
  expect(encoderOf(type)(value)).toEqual({ held: expected, extra: null, misfits: [] });
});

const MISFITS: readonly [string, Bson][] = [
  ["text", int32(7)],
  ["text", { type: "symbol", utf8: Buffer.from("a") }],
  ["varchar(3)", text("ü€😀!")],
  ["varchar(23)", { type: "objectId", bytes: Buffer.alloc(12) }],
  ["char(3)", text("ab")],
  ["char(3)", text("ab ")],
  ["smallint", int32(32_768)],
  ["integer", double(2.5)],
  ["integer", double(-0)],
  ["integer", decimal("-0")],
  ["integer", int64(2_147_483_648n)],
  ["integer", text("7")],
  ["bigint", double(2 ** 53 + 2)],
  ["bigint", double(Infinity)],
  ["bigint", decimal("9223372036854775808")],
  ["bigint", decimal("0.5")],
  ["real", double(0.1234567)],
  ["real", double(1e39)],
  ["real", double(1.4013e-45)],
  ["double precision", int64(9_007_199_254_740_993n)],
  ["double precision", decimal("1")],
  ["numeric", double(-0)],
  ["numeric", decimal("-0.00")],
  ["numeric(5,2)", double(1000)],
  ["numeric(5,2)", double(0.001)],
  ["numeric(5,2)", double(Infinity)],
  ["numeric(3,-2)", int32(99_950)],
  ["boolean", int32(1)],
  ["uuid", text(UUID_TEXT.toUpperCase())],
  ["uuid", hex(4, "00")],
  ["uuid", hex(3, UUID)],
  ["bytea", hex(4, UUID)],
  ["bytea", hex(3, UUID)],
  ["date", date(1n)],
  ["date", date(86_400_000n - 1024n)],
  ["date", date(9_224_317_929_600_001n)],
  ["timestamptz", date(-210_866_803_200_001n)],
  ["timestamptz", date(9_224_318_016_000_000n)],
  ["timestamptz", { type: "timestamp", value: 1n }],
  ["integer[]", { type: "array", items: [int32(1), text("x")] }],
  ["integer[]", int32(1)],
  ["integer[]", { type: "array", items: [{ type: "array", items: [int32(1)] }] }],
];

it.each(MISFITS)("%s does not hold %o", (type, value) => {
  const { held, extra, misfits } = encoderOf(type)(value);
  expect(held).toBeNull();
  expect(parseExactly(extra as string)).toEqual({ value: parseExactly(extendedJson(value)) });
  expect(misfits).toEqual(["value"]);
});
