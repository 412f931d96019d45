import {
  BSONRegExp,
  BSONSymbol,
  Binary,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
  serialize,
} from "bson";
import * as fc from "fast-check";

/** Doubles at the limits of number types, or that no decimal equals. */
const DOUBLES = [
  0,
  -0,
  1,
  -1,
  7,
  7.5,
  -7.5,
  0.1,
  0.5,
  1e-6,
  1e-7,
  123.456,
  2 ** 31,
  2 ** 53,
  2 ** 53 + 2,
  2 ** 63,
  -(2 ** 63),
  2 ** 63 - 1024,
  2 ** 64,
  2 ** 100,
  1e15,
  1e16,
  1e22,
  1e23,
  1e34,
  1e100,
  1e300,
  -1e300,
  5e-324,
  2.5e-310,
  2 ** -48,
  2 ** -49,
  2 ** -52,
  1.7976931348623157e308,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];

const DECIMALS = [
  "0",
  "-0",
  "0E+10",
  "-0E-5",
  "7",
  "7.0",
  "7E0",
  "70E-1",
  "0.7E+1",
  "7.5",
  "7.50",
  "-7.5",
  "0.1",
  "0.10",
  "0.5",
  "1E-6",
  "0.0000001",
  "1E-7",
  "123.456",
  "2147483648",
  "9007199254740992",
  "9007199254740993",
  "9007199254740994",
  "9223372036854775807",
  "9223372036854775808",
  "-9223372036854775808",
  "-9223372036854775809",
  "9223372036854774784",
  "18446744073709551616",
  "1267650600228229401496703205376",
  "1267650600228229401496703205377",
  "1E+15",
  "1E+16",
  "1E+22",
  "10000000000000000000000",
  "1E+23",
  "99999999999999991611392",
  "1E+34",
  "1E+100",
  "1E+300",
  "-1E+300",
  "1E+6144",
  "1.0E+6144",
  "1E-6176",
  "5E-324",
  "1.7976931348623157E+308",
  "1.8E+308",
  "3.552713678800501E-15",
  "3.5527136788005009293556213378906E-15",
  "9999999999999999999999999999999999E+6111",
  "NaN",
  "-NaN",
  "Infinity",
  "-Infinity",
];

/** Coefficients above the limit (not canonical, so they count as zero), and the largest one. */
const RAW_DECIMALS = [
  "ffffffffffffffffffffffffff7f4030",
  "00000000000000000000000000c01060",
  "ffffffff638e8d37c087adbe09ed4130",
  "00000000648e8d37c087adbe09ed4130",
  "000000000000000000000000000000fe",
  "0000000000000000000000000000007e",
];

const integers = [0, 1, -1, 7, -7, 2 ** 31 - 1, -(2 ** 31)];
const longs = [
  ...integers.map(String),
  "9007199254740992",
  "9007199254740993",
  "9223372036854775807",
  "-9223372036854775808",
];

const scaledDouble = fc
  .tuple(fc.integer({ min: -(2 ** 31), max: 2 ** 31 }), fc.integer({ min: -80, max: 120 }))
  .map(([mantissa, exponent]) => mantissa * 2 ** exponent);

/** A number of any of the four types, with few values each. */
export const numberId: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...integers).map((value) => new Int32(value)),
  fc.constantFrom(...longs).map((value) => Long.fromString(value)),
  fc.constantFrom(...DOUBLES).map((value) => new Double(value)),
  fc.constantFrom(...DECIMALS).map((value) => Decimal128.fromString(value)),
  fc.constantFrom(...RAW_DECIMALS).map((hex) => new Decimal128(Buffer.from(hex, "hex"))),
  scaledDouble.map((value) => new Double(value)),
  scaledDouble
    .filter((value) => value.toString().length < 30)
    .map((value) => Decimal128.fromStringWithRounding(String(value))),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => new Decimal128(bytes)),
);

const text = fc.constantFrom("", "a", "7", "A", "é", "e\u0301", "😀", '"\\/', "\u0001", "NaN", "\ufeff", "$a");
const bytes = fc
  .constantFrom("", "00", "0001", "6570a1b2c3d4e5f60123456789abcdef")
  .map((hex) => Buffer.from(hex, "hex"));
const uuid = fc.constantFrom("6570a1b2-c3d4-4e5f-8601-23456789abcd", "00000000-0000-4000-8000-000000000000");

const scalar: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: numberId },
  { weight: 2, arbitrary: text },
  text.map((value) => new BSONSymbol(value)),
  fc.constantFrom(null, true, false, new MinKey(), new MaxKey()),
  fc.constantFrom(0, 7, -1, 8.64e15).map((value) => new Date(value)),
  fc.constantFrom("000000000000000000000000", "6570a1b2c3d4e5f601234567").map((hex) => new ObjectId(hex)),
  uuid.map((value) => new UUID(value)),
  fc.tuple(bytes, fc.constantFrom(0, 1, 2, 3, 5, 128)).map(([value, subtype]) => new Binary(value, subtype)),
  fc.tuple(fc.constantFrom(0, 7), fc.constantFrom(0, 1)).map(([t, i]) => new Timestamp({ t, i })),
  text.map((value) => new Code(value)),
);

const name = fc.constantFrom("a", "b", "1", "0", "", "a.b", "__proto__", "é");

const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    scalar,
    tie("document"),
    tie("array"),
    tie("scoped"),
    tie("regex"),
  ),
  document: fc.array(fc.tuple(name, tie("value")), { maxLength: 3 }).map((fields) => new Map(fields)),
  array: fc.array(tie("value"), { maxLength: 3 }),
  scoped: fc.tuple(text, tie("document")).map(([code, scope]) => new Code(code, scope as Map<string, unknown>)),
  regex: fc
    .tuple(fc.constantFrom("a", "^a"), fc.constantFrom("", "i", "im"))
    .map(([pattern, options]) => new BSONRegExp(pattern, options)),
})).value;

/** What MongoDB accepts as an `_id`, with few values of each type, so that some are equal: anything but arrays, regular expressions and `undefined`. */
export const anyId: fc.Arbitrary<unknown> = value.filter((id) => !Array.isArray(id) && !(id instanceof BSONRegExp));

const wideScalar: fc.Arbitrary<unknown> = fc.oneof(
  fc.double().map((number) => new Double(number)),
  fc.integer({ min: -99, max: 99 }).map((exponent) => new Double(2 ** exponent)),
  fc.integer().map((number) => new Int32(number)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((number) => Long.fromBigInt(number)),
  fc.tuple(fc.integer(), fc.integer({ min: -40, max: 40 })).map(([n, e]) => Decimal128.fromString(`${n}E${e}`)),
  fc.string({ unit: "binary" }),
  fc.uint8Array({ minLength: 12, maxLength: 12 }).map((id) => new ObjectId(id)),
  fc.uint8Array({ minLength: 15, maxLength: 16 }).map((id) => new Binary(Buffer.from(id), 4)),
  fc.date({ noInvalidDate: true }),
);

const wideName = fc.oneof(
  fc.constantFrom("$ref", "$x", "1", "b"),
  fc.string().filter((any) => !any.includes("\0")),
);

const wideDocument = fc
  .array(fc.tuple(wideName, fc.oneof(wideScalar, fc.array(wideScalar))))
  .map((entries) => new Map<string, unknown>(entries));

/** Any values, also documents with names that MongoDB refuses in an `_id`. */
export const wideId: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 2, arbitrary: wideScalar },
  { weight: 2, arbitrary: wideDocument },
  { weight: 1, arbitrary: wideDocument.map((scope) => new Code("", scope)) },
);

/** The document `{_id: id}` in BSON, with more fields if given. */
export function documentOf(id: unknown, fields: object = {}): Uint8Array {
  return serialize({ _id: id, ...fields });
}
