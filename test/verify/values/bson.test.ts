import {
  BSONRegExp,
  BSONSymbol,
  Binary,
  Code,
  Decimal128,
  Double,
  EJSON,
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
import { describe, expect, test } from "vitest";
import { readBson, readDocumentId } from "../../../src/verify/values/bson.ts";
import { EXTENDED, toJson } from "../../../src/verify/values/json-forms.ts";
import { isSameJson, parseJson, stringifyJson } from "../../../src/verify/values/json.ts";

const everyType = {
  double: new Double(2.5),
  integralDouble: new Double(7),
  negativeZero: new Double(-0),
  nan: new Double(Number.NaN),
  infinite: new Double(-Infinity),
  large: new Double(1e300),
  string: 'naïve 🎈 "quoted" \\ back',
  document: { a: new Int32(1), "": "empty name", "a.b": true, $c: null },
  array: [new Int32(1), "x", [], {}, [null]],
  binary: new Binary(Buffer.from([0, 255])),
  oldBinary: new Binary(Buffer.from([1, 2]), 2),
  userBinary: new Binary(Buffer.alloc(0), 0x80),
  uuid: new UUID("01234567-89ab-cdef-0123-456789abcdef"),
  objectId: new ObjectId("0123456789abcdef01234567"),
  yes: true,
  no: false,
  date: new Date("2024-02-29T12:34:56.789Z"),
  dateBefore1970: new Date(-1),
  nothing: null,
  regex: new BSONRegExp('a/"b', "im"),
  code: new Code("return 1"),
  scoped: new Code("return x", { x: new Int32(1) }),
  symbol: new BSONSymbol("sym"),
  int32: new Int32(-5),
  timestamp: new Timestamp({ t: 4_294_967_295, i: 7 }),
  int64: Long.fromString("-9223372036854775808"),
  decimal: Decimal128.fromString("1.50E+3"),
  minKey: new MinKey(),
  maxKey: new MaxKey(),
};

function extended(raw: Uint8Array): string {
  return stringifyJson(toJson(EXTENDED, readBson(raw, "\ufffd")));
}

describe("reading BSON", () => {
  test("every type is read as by the package bson", () => {
    const reference = EJSON.stringify(everyType, { relaxed: false });
    const read = toJson(EXTENDED, readBson(serialize(everyType, { ignoreUndefined: false }), "\ufffd"));
    expect(isSameJson(parseJson(reference), read)).toBe(true);
    expect([...(parseJson(reference) as ReadonlyMap<string, unknown>)].map(([name]) => name)).toEqual([
      ...(read as ReadonlyMap<string, unknown>).keys(),
    ]);
  });

  test("random documents are read as by the package bson", () => {
    const scalar = fc.oneof(
      fc.double().map((value) => new Double(value)),
      fc.integer().map((value) => new Int32(value)),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => Long.fromBigInt(value)),
      fc.string({ unit: "grapheme" }),
      fc.boolean(),
      fc.constant(null),
      fc.date({ noInvalidDate: true }),
      fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => new ObjectId(bytes)),
      fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => new Decimal128(bytes)),
      fc.uint8Array().map((bytes) => new Binary(Buffer.from(bytes), 0)),
    );
    const name = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0") && !text.startsWith("$"));
    const value = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: "small" }, scalar, fc.array(tie("value")), fc.dictionary(name, tie("value"))),
    })).value;
    fc.assert(
      fc.property(fc.dictionary(name, value), (document) => {
        const reference = EJSON.stringify(document, { relaxed: false });
        expect(isSameJson(parseJson(reference), parseJson(extended(serialize(document))))).toBe(true);
      }),
    );
  });

  test("dates beyond the range of JavaScript are exact", () => {
    const raw = serialize({ at: new Date(0) });
    Buffer.from(raw.buffer, raw.byteOffset).writeBigInt64LE(9_223_372_036_854_775_807n, 8);
    expect(extended(raw)).toBe('{"at":{"$date":{"$numberLong":"9223372036854775807"}}}');
  });

  test("DBPointer and Undefined are read", () => {
    const pointer = Buffer.from("\x0cp\0\x02\0\0\0n\0abcdefghijkl\x06u\0", "latin1");
    const raw = Buffer.concat([Buffer.from([pointer.length + 5, 0, 0, 0]), pointer, Buffer.from([0])]);
    expect(extended(raw)).toBe(
      '{"p":{"$dbPointer":{"$ref":"n","$id":{"$oid":"6162636465666768696a6b6c"}}},"u":{"$undefined":true}}',
    );
  });

  test("if a name occurs twice, the last value counts", () => {
    const raw = Buffer.from(serialize({ a: 1, b: 2 }));
    raw[raw.indexOf("b")] = "a".charCodeAt(0);
    expect(extended(raw)).toBe('{"a":{"$numberInt":"2"}}');
  });

  test("invalid UTF-8 becomes U+FFFD; an _id with it or with NUL cannot be a key", () => {
    const withBytes = (bytes: readonly number[]): Buffer => {
      const raw = Buffer.from(serialize({ _id: "xy", after: 1 }));
      raw.set(bytes, raw.indexOf("xy"));
      return raw;
    };
    expect(readDocumentId(withBytes([0xff, 0x61]))).toEqual({
      id: { kind: "string", value: "\ufffda" },
      isClean: false,
    });
    expect(readDocumentId(withBytes([0x61, 0]))).toEqual({ id: { kind: "string", value: "a\0" }, isClean: false });
    expect(readDocumentId(serialize({ bad: "a\0", _id: "\ufffd" }))).toMatchObject({ isClean: true });
  });

  test("bytes that are not BSON are refused and never read past their end", () => {
    const whole = serialize(everyType);
    for (let length = 0; length < whole.length; length++) {
      expect(() => readBson(whole.subarray(0, length), "\ufffd")).toThrow();
    }
    expect(() => readDocumentId(serialize({ a: 1 }))).toThrow("no _id");
  });
});
