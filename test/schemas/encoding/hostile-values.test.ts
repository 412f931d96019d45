// Values that break other pipelines, one by one.
import { UUID } from "bson";
import { describe, expect, it } from "vitest";
import {
  type Bson,
  array,
  binary,
  date,
  decimal,
  double,
  type Field,
  field,
  int32,
  int64,
  object,
  text,
} from "../formats/bson-model.ts";
import { OBJECT_ID } from "./encoding.ts";
import { docOf, encodeId, rowOf } from "./rows.ts";

describe("15: a NUL", () => {
  it("in a text column becomes U+FFFD and is counted", () => {
    expect(rowOf({ a: "text" }, [field("a", text("x\0y"))])).toEqual({ a: "x\ufffdy", _extra: null, misfits: ["a"] });
  });

  it("in nested values becomes U+FFFD in jsonb, _extra and doc, and is counted", () => {
    const fields = [field("a", object(field("b", array(text("\0"))))), field("c", object(field("d", text("\0"))))];
    expect(rowOf({ a: "jsonb" }, fields)).toEqual({
      a: { b: ["\ufffd"] },
      _extra: { c: { d: "\ufffd" } },
      misfits: ["a", "_extra"],
    });
    expect(docOf(fields)).toEqual({ a: { b: ["\ufffd"] }, c: { d: "\ufffd" } });
  });

  it("in a text array becomes U+FFFD and is counted", () => {
    expect(rowOf({ a: "text[]" }, [field("a", array(text("\0")))])).toMatchObject({ a: ["\ufffd"], misfits: ["a"] });
  });

  it("is removed and counted with nulCharacters: strip", () => {
    const fields = [field("a", text("x\0y\0")), field("b", array(text("\0"))), field("c", text("\0"))];
    expect(rowOf({ a: "varchar(2)", b: "jsonb" }, fields, "strip")).toEqual({
      a: "xy",
      b: [""],
      _extra: { c: "" },
      misfits: ["a", "b", "_extra"],
    });
  });

  it.each([
    ["a column", { a: "text" }],
    ["_extra", { b: "text" }],
    ["jsonb", { a: "jsonb" }],
  ])("in %s makes its document a dead letter with nulCharacters: dead-letter", (_where, types) => {
    const encode = (value: string) => rowOf(types, [field("a", text(value))], "dead-letter");
    expect(() => encode("x\0")).toThrow(expect.objectContaining({ code: "DOCUMENT_UNENCODABLE", kind: "poison" }));
    expect(encode("x").misfits).toEqual([]);
  });

  it.each(["string", "mixed"] as const)("in an _id is a dead letter among ids of type %s", (idType) => {
    expect(() => encodeId(idType, text("a\0"))).toThrow(expect.objectContaining({ code: "KEY_INVALID" }));
  });

  it("and what is not UTF-8 (lone surrogates) become U+FFFD and are counted", () => {
    const surrogate: Bson = { type: "string", utf8: Buffer.from("61eda080", "hex") };
    expect(rowOf({ a: "text" }, [field("a", surrogate), { name: Buffer.from([0xff]), value: surrogate }])).toEqual({
      a: "a\ufffd\ufffd\ufffd",
      _extra: { "\ufffd": "a\ufffd\ufffd\ufffd" },
      misfits: ["a", "_extra"],
    });
  });
});

it("16: NaN and infinities are native in double precision and numeric, strings in jsonb", () => {
  const odd = array(double(Number.NaN), double(Infinity), double(-Infinity), decimal("NaN"), decimal("-Infinity"));
  expect(
    rowOf({ d: "double precision", n: "numeric", j: "jsonb" }, [
      field("d", double(-Infinity)),
      field("n", decimal("NaN")),
      field("j", odd),
    ]),
  ).toEqual({
    d: -Infinity,
    n: "NaN",
    j: ["NaN", "Infinity", "-Infinity", "NaN", "-Infinity"],
    _extra: null,
    misfits: [],
  });
});

describe("17: a date", () => {
  it("beyond JavaScript's range, but not PostgreSQL's, is a timestamp", () => {
    expect(rowOf({ at: "timestamptz" }, [field("at", date(8_640_000_000_000_001n))])).toMatchObject({
      at: 8_640_000_000_000_001n,
      _extra: null,
    });
  });

  it("beyond PostgreSQL's range stays in _extra", () => {
    expect(rowOf({ at: "timestamptz" }, [field("at", date(9_223_372_036_854_775_807n))])).toEqual({
      at: null,
      _extra: { at: { $date: { $numberLong: "9223372036854775807" } } },
      misfits: ["at"],
    });
  });

  it("nested in jsonb is ISO 8601, beyond JavaScript's range Extended JSON", () => {
    expect(
      docOf([
        field(
          "a",
          array(date(0n), date(-62_167_219_200_001n), date(253_402_300_800_000n), date(-9_223_372_036_854_775_808n)),
        ),
      ]),
    ).toEqual({
      a: [
        "1970-01-01T00:00:00.000Z",
        "-000001-12-31T23:59:59.999Z",
        "+010000-01-01T00:00:00.000Z",
        { $date: { $numberLong: "-9223372036854775808" } },
      ],
    });
  });
});

describe("18: a Decimal128", () => {
  const DIGITS = "1234567890123456789012345678901234";

  it("keeps its 34 digits in numeric and in jsonb", () => {
    const fields = [
      field("n", decimal(`${DIGITS.slice(0, 4)}.${DIGITS.slice(4)}`)),
      field("j", array(decimal(DIGITS))),
    ];
    expect(rowOf({ n: "numeric", j: "jsonb" }, fields)).toMatchObject({
      n: `${DIGITS.slice(0, 4)}.${DIGITS.slice(4)}`,
      j: [`number ${DIGITS}`],
    });
  });

  it("that a narrow numeric would round stays in _extra", () => {
    expect(rowOf({ n: "numeric(5,2)" }, [field("n", decimal("1.005"))])).toEqual({
      n: null,
      _extra: { n: { $numberDecimal: "1.005" } },
      misfits: ["n"],
    });
  });

  it("of any exponent has plain digits in jsonb, and is a string beyond 400 characters", () => {
    expect(
      docOf([field("a", array(decimal("1E+3"), decimal("-1.5E-8"), decimal("0E+9"), decimal("9E+6111")))]),
    ).toEqual({
      a: ["number 1000", "number -0.000000015", "number 0", "9E+6111"],
    });
  });
});

it("19: an int64 beyond 2^53 keeps all its digits everywhere", () => {
  const fields = ["b", "n", "j", "x"].map((name) => field(name, int64(-9_223_372_036_854_775_807n)));
  expect(rowOf({ b: "bigint", n: "numeric", j: "jsonb" }, fields)).toEqual({
    b: -9_223_372_036_854_775_807n,
    n: "-9223372036854775807",
    j: "number -9223372036854775807",
    _extra: { x: { $numberLong: "-9223372036854775807" } },
    misfits: [],
  });
});

describe("20: a field", () => {
  it("with mixed types is in the column if it fits, otherwise it is counted and in _extra", () => {
    expect(rowOf({ n: "integer" }, [field("n", int32(7))])).toEqual({ n: 7n, _extra: null, misfits: [] });
    expect(rowOf({ n: "integer" }, [field("n", text("7"))])).toEqual({ n: null, _extra: { n: "7" }, misfits: ["n"] });
  });

  it("that is a heterogeneous array stays whole in _extra", () => {
    expect(rowOf({ a: "integer[]" }, [field("a", array(int32(1), text("x"), object()))])).toEqual({
      a: null,
      _extra: { a: [{ $numberInt: "1" }, "x", {}] },
      misfits: ["a"],
    });
  });

  it("of an unusual type is Extended JSON in _extra and in doc", () => {
    const fields: readonly Field[] = [
      field("symbol", { type: "symbol", utf8: Buffer.from("s") }),
      field("min", { type: "minKey" }),
      field("max", { type: "maxKey" }),
      field("undefined", { type: "undefined" }),
      field("code", { type: "code", utf8: Buffer.from("f()") }),
      field("scoped", { type: "codeWithScope", utf8: Buffer.from("f()"), scope: [field("x", int32(1))] }),
      field("timestamp", { type: "timestamp", value: (4_294_967_295n << 32n) | 4_294_967_294n }),
      field("regex", { type: "regex", pattern: Buffer.from('"a'), options: "ix" }),
      field("pointer", { type: "dbPointer", namespace: Buffer.from("db.c"), id: OBJECT_ID }),
      field("ref", object(field("$ref", text("c")), field("$id", { type: "objectId", bytes: OBJECT_ID }))),
    ];
    const oid = { $oid: OBJECT_ID.toString("hex") };
    const expected = {
      symbol: { $symbol: "s" },
      min: { $minKey: "number 1" },
      max: { $maxKey: "number 1" },
      undefined: { $undefined: true },
      code: { $code: "f()" },
      scoped: { $code: "f()", $scope: { x: { $numberInt: "1" } } },
      timestamp: { $timestamp: { t: "number 4294967295", i: "number 4294967294" } },
      regex: { $regularExpression: { pattern: '"a', options: "ix" } },
      pointer: { $dbPointer: { $ref: "db.c", $id: oid } },
    };
    expect(rowOf({}, fields)).toEqual({ _extra: { ...expected, ref: { $ref: "c", $id: oid } }, misfits: [] });
    expect(docOf(fields)).toEqual({ ...expected, ref: { $ref: "c", $id: OBJECT_ID.toString("hex") } });
  });
});

it("a UUID is text in jsonb, other binaries are base64", () => {
  const uuid = new UUID("00112233-4455-6677-8899-aabbccddeeff");
  const fields = [
    field("uuid", binary(4, Buffer.from(uuid.buffer))),
    field("old", binary(3, Buffer.from(uuid.buffer))),
    field("short", binary(4, Buffer.from([1]))),
  ];
  expect(docOf(fields)).toEqual({
    uuid: "00112233-4455-6677-8899-aabbccddeeff",
    old: Buffer.from(uuid.buffer).toString("base64"),
    short: "AQ==",
  });
});
