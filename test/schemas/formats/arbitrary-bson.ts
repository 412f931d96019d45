import { Decimal128 } from "bson";
import * as fc from "fast-check";
import type { Bson, Field } from "./bson-model.ts";

/**
 * Few names, so that documents and declared paths match: empty, with a dot or `$`, not ASCII, from Object.prototype.
 */
export const NAMES = ["a", "b", "c", "", "x.y", "$set", "ü€😀", "__proto__", "constructor", "A", "0", "1"] as const;

export const COLUMN_TYPES = [
  "text",
  "varchar",
  "varchar(3)",
  "varchar(24)",
  "char(1)",
  "char(3)",
  "char(24)",
  "smallint",
  "integer",
  "bigint",
  "real",
  "double precision",
  "numeric",
  "numeric(5,2)",
  "numeric(20)",
  "numeric(3,-2)",
  "numeric(2,4)",
  "boolean",
  "date",
  "timestamp",
  "timestamptz",
  "uuid",
  "bytea",
  "jsonb",
] as const;

const EDGES = [
  0n,
  1n,
  -1n,
  127n,
  128n,
  32767n,
  32768n,
  -32768n,
  -32769n,
  2147483647n,
  2147483648n,
  -2147483648n,
  -2147483649n,
  4294967295n,
  4294967296n,
  9007199254740991n,
  9007199254740992n,
  9007199254740993n,
  -9007199254740993n,
  9223372036854775807n,
  -9223372036854775808n,
];
const MIDNIGHT = 86_400_000n;
const FIRST_MS = -210_866_803_200_000n;
const END_MS = 9_224_318_016_000_000n;

/** Any text, also what PostgreSQL refuses: any code point, NUL, and bytes that are not UTF-8. */
const utf8: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 12 }).map((value) => Buffer.from(value)) },
  { weight: 3, arbitrary: fc.string({ unit: "binary", maxLength: 120 }).map((value) => Buffer.from(value)) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 12 }).map((value) => Buffer.from(value)) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("", "0", " ", "abc ", "0123456789abcdef01234567", "\u0000", "a\u0000b\ud7ff\uffff")
      .map((value) => Buffer.from(value)),
  },
  fc.uuid().map((value) => Buffer.from(value)),
);

const cstring: fc.Arbitrary<Buffer> = utf8.map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0)));

const int64 = fc.oneof(
  fc.constantFrom(...EDGES),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -1000n, max: 1000n }),
);

const double = fc.oneof(
  fc.double(),
  fc.constantFrom(
    0,
    -0,
    Number.NaN,
    Infinity,
    -Infinity,
    5e-324,
    1e-45,
    1.4013e-45,
    1.17549e-38,
    3.4028235e38,
    3.5e38,
    1e21,
    1e300,
    0.1,
    2 ** 53,
    2 ** 53 + 2,
    -(2 ** 63),
  ),
  fc.float(),
  fc.integer({ min: -100_000, max: 100_000 }).map((value) => value / 100),
  int64.map(Number),
);

const decimal128 = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 34n) + 1n, max: 10n ** 34n - 1n }), fc.integer({ min: -6176, max: 6111 }))
    .map(([coefficient, exponent]) => decimalBytes(`${coefficient}E${exponent}`)),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }), fc.integer({ min: -20, max: 20 }))
    .map(([coefficient, exponent]) => decimalBytes(`${coefficient}E${exponent}`)),
  fc
    .constantFrom(
      "0",
      "-0",
      "0E+3",
      "-0.00",
      "NaN",
      "Infinity",
      "-Infinity",
      "7",
      "7.00",
      "12.50",
      "1E+3",
      "9E+6111",
      "1E-6176",
      "-9223372036854775808",
      "9223372036854775808",
      "9E+399",
      "9E+400",
      "0E-500",
      "0E+6111",
    )
    .map(decimalBytes),
);

const date = fc.oneof(
  int64,
  fc.constantFrom(
    FIRST_MS - 1n,
    FIRST_MS,
    END_MS - 1n,
    END_MS,
    END_MS - MIDNIGHT,
    END_MS - MIDNIGHT + 1n,
    8_640_000_000_000_000n,
    8_640_000_000_000_001n,
    -8_640_000_000_000_001n,
  ),
  fc.bigInt({ min: FIRST_MS / MIDNIGHT, max: END_MS / MIDNIGHT }).map((days) => days * MIDNIGHT),
  fc.bigInt({ min: FIRST_MS, max: END_MS }),
  fc.date({ noInvalidDate: true }).map((value) => BigInt(value.getTime())),
);

const objectId = fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => Buffer.from(bytes));

const binary = fc.oneof(
  fc.tuple(fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 8, 128, 255), fc.uint8Array({ maxLength: 20 })),
  fc.tuple(fc.constantFrom(3, 4), fc.uint8Array({ minLength: 16, maxLength: 16 })),
);

const scalars: readonly fc.Arbitrary<Bson>[] = [
  double.map((value): Bson => ({ type: "double", value })),
  fc.oneof(fc.integer(), fc.integer({ min: -40_000, max: 40_000 })).map((value): Bson => ({ type: "int32", value })),
  int64.map((value): Bson => ({ type: "int64", value })),
  decimal128.map((bytes): Bson => ({ type: "decimal128", bytes })),
  utf8.map((bytes): Bson => ({ type: "string", utf8: bytes })),
  date.map((value): Bson => ({ type: "date", value })),
  objectId.map((bytes): Bson => ({ type: "objectId", bytes })),
  binary.map(([subtype, bytes]): Bson => ({ type: "binary", subtype, bytes: Buffer.from(bytes) })),
  fc.boolean().map((value): Bson => ({ type: "boolean", value })),
  fc.constantFrom<Bson>({ type: "null" }, { type: "undefined" }, { type: "minKey" }, { type: "maxKey" }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value): Bson => ({ type: "timestamp", value })),
  utf8.map((bytes): Bson => ({ type: "symbol", utf8: bytes })),
  utf8.map((bytes): Bson => ({ type: "code", utf8: bytes })),
  fc
    .tuple(cstring, fc.constantFrom("", "i", "imsx"))
    .map(([pattern, options]): Bson => ({ type: "regex", pattern, options })),
  fc.tuple(utf8, objectId).map(([namespace, id]): Bson => ({ type: "dbPointer", namespace, id })),
];

export const scalar: fc.Arbitrary<Bson> = fc.oneof(...scalars);

/** Arrays with items of one type, and null, as array columns can hold them. */
export const uniformArray = fc
  .oneof(
    ...scalars.map((item) =>
      fc.array(fc.oneof({ weight: 5, arbitrary: item }, fc.constant<Bson>({ type: "null" })), { maxLength: 5 }),
    ),
  )
  .map((items): Bson => ({ type: "array", items }));

const name = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...NAMES).map((value) => Buffer.from(value)) },
  { weight: 1, arbitrary: cstring },
);

const tree = fc.letrec<{ value: Bson; fields: readonly Field[] }>((tie) => ({
  fields: fc.array(fc.record({ name, value: tie("value") }), { maxLength: 6 }),
  value: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    { weight: 5, arbitrary: scalar },
    { weight: 2, arbitrary: tie("fields").map((fields): Bson => ({ type: "document", fields })) },
    { weight: 1, arbitrary: fc.array(tie("value"), { maxLength: 5 }).map((items): Bson => ({ type: "array", items })) },
    { weight: 1, arbitrary: uniformArray },
    {
      weight: 1,
      arbitrary: fc
        .tuple(utf8, tie("fields"))
        .map(([code, scope]): Bson => ({ type: "codeWithScope", utf8: code, scope })),
    },
  ),
}));

/** Fields of a document without `_id`, with duplicates. */
export const fields: fc.Arbitrary<readonly Field[]> = fc.array(fc.record({ name, value: tree.value }), {
  maxLength: 12,
});

function decimalBytes(value: string): Buffer {
  return Buffer.from(Decimal128.fromStringWithRounding(value).bytes);
}
