import { BSONSymbol, Binary, Code, Decimal128, Double, EJSON, Int32, Long, ObjectId, UUID, serialize } from "bson";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HeadraceError } from "../../../src/errors/error.ts";
import { canonicalKey } from "../../../src/schemas/keys/document-key.ts";
import type { IdType } from "../../../src/schemas/mapping/mapping.ts";
import { readDocumentId } from "../../../src/verify/values/bson.ts";
import { expectedKey, idOfKey } from "../../../src/verify/values/key.ts";
import { anyId, documentOf, wideId } from "../../support/id-arbitraries.ts";

const key = (idType: IdType, id: unknown): string | undefined => expectedKey(idType, readDocumentId(documentOf(id)));

describe("keys of one type", () => {
  test("are the text of the _id", () => {
    expect(key("objectId", new ObjectId("0123456789abcdef01234567"))).toBe("0123456789abcdef01234567");
    expect(key("string", "a")).toBe("a");
    expect(key("uuid", new UUID("01234567-89ab-cdef-0123-456789abcdef"))).toBe("01234567-89ab-cdef-0123-456789abcdef");
    for (const seven of [new Int32(7), Long.fromNumber(7), new Double(7), Decimal128.fromString("7.00")]) {
      expect(key("integer", seven)).toBe("7");
    }
    expect(key("integer", new Double(-0))).toBe("0");
    expect(key("integer", new Double(2 ** 62))).toBe("4611686018427387904");
    expect(key("integer", Long.MIN_VALUE)).toBe("-9223372036854775808");
  });

  test("do not exist for an _id of another type", () => {
    expect(key("objectId", "0123456789abcdef01234567")).toBeUndefined();
    expect(key("string", new ObjectId())).toBeUndefined();
    expect(key("string", new BSONSymbol("a"))).toBe("a");
    expect(key("string", "a\0b")).toBeUndefined();
    expect(key("string", "a\\u0000b")).toBe("a\\u0000b");
    expect(key("uuid", new Binary(Buffer.alloc(16), 0))).toBeUndefined();
    for (const other of ["7", new Double(7.5), Decimal128.fromString("1E+19"), new Double(Number.NaN), null]) {
      expect(key("integer", other)).toBeUndefined();
    }
  });
});

describe("mixed keys", () => {
  test("are the same for _ids that MongoDB considers equal", () => {
    for (const seven of [new Int32(7), Long.fromNumber(7), new Double(7), Decimal128.fromString("7.00")]) {
      expect(key("mixed", seven)).toBe('{"$numberLong":"7"}');
    }
    expect(key("mixed", new Double(7.5))).toBe('{"$numberDecimal":"7.5"}');
    expect(key("mixed", Decimal128.fromString("7.50"))).toBe('{"$numberDecimal":"7.5"}');
    expect(key("mixed", new Double(1e22))).toBe('{"$numberDecimal":"1E+22"}');
    expect(key("mixed", new Double(0.1))).toBe('{"$numberDouble":"0.1"}');
    expect(key("mixed", Decimal128.fromString("0.1"))).toBe('{"$numberDecimal":"0.1"}');
    expect(key("mixed", Decimal128.fromString("NaN"))).toBe('{"$numberDouble":"NaN"}');
    expect(key("mixed", new Double(-Infinity))).toBe('{"$numberDouble":"-Infinity"}');
    expect(key("mixed", Decimal128.fromString("-0E+5"))).toBe('{"$numberLong":"0"}');
    expect(key("mixed", new BSONSymbol("a"))).toBe('"a"');
    expect(key("mixed", "a")).toBe('"a"');
    expect(key("mixed", null)).toBe("null");
  });

  test("treat a Decimal128 with more than 34 digits as zero, as MongoDB does", () => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE((3n << 61n) | (6144n << 47n), 8); // 2^113 × 10^-32
    const tooLong = new Decimal128(bytes);
    expect(String(tooLong)).toBe("103.84593717069655257060992658440192");
    expect(key("mixed", tooLong)).toBe('{"$numberLong":"0"}');
    expect(key("integer", tooLong)).toBe("0");
  });

  test("are the same for the largest numbers, which a Decimal128 pads with zeros", () => {
    for (const largest of ["1E+6144", "1.0E+6144"])
      expect(key("mixed", Decimal128.fromString(largest))).toBe('{"$numberDecimal":"1E+6144"}');
  });

  test("are the same for equal values in the scope of JavaScript", () => {
    for (const n of [new Int32(7), new Double(7)])
      expect(key("mixed", new Code("f", { n }))).toBe('{"$code":"f","$scope":{"n":{"$numberLong":"7"}}}');
    expect(key("mixed", new Code("f", { $n: 7 }))).toBeUndefined();
  });

  test("keep the order of fields and the types of nested values", () => {
    const id = new Map<string, unknown>([
      ["b", new Double(7)],
      ["2", [new ObjectId("0123456789abcdef01234567"), { x: new Date(5) }]],
    ]);
    expect(key("mixed", id)).toBe(
      '{"b":{"$numberLong":"7"},"2":[{"$oid":"0123456789abcdef01234567"},{"x":{"$date":{"$numberLong":"5"}}}]}',
    );
  });

  test("do not exist for an _id that could be mistaken for another", () => {
    expect(key("mixed", { a: { $oid: "0123456789abcdef01234567" } })).toBeUndefined();
    const twice = Buffer.from(serialize({ _id: { a: 1, b: 2 } }));
    twice[twice.lastIndexOf("b\0")] = 0x61;
    expect(expectedKey("mixed", readDocumentId(twice))).toBeUndefined();
  });

  test("do not exist for an _id with a NUL character", () => {
    expect(key("mixed", { a: ["\0"] })).toBeUndefined();
    expect(key("mixed", { a: "\\u0000" })).toBe('{"a":"\\\\u0000"}');
  });
});

test("keys are equal to those of the writer", () => {
  const idType = fc.constantFrom<IdType>("objectId", "string", "integer", "uuid", "mixed");
  fc.assert(
    fc.property(idType, fc.oneof(anyId, wideId), (type, id) => {
      const raw = documentOf(id);
      expect(expectedKey(type, readDocumentId(raw))).toBe(writtenKey(type, raw));
    }),
    { numRuns: 2_000 },
  );
});

/** The key that the producer gives; undefined for a dead letter. */
function writtenKey(idType: IdType, raw: Uint8Array): string | undefined {
  try {
    return canonicalKey(idType, raw);
  } catch (error) {
    if (error instanceof HeadraceError) return undefined;
    throw error;
  }
}

describe("the _id of a key", () => {
  test("has the same key again", () => {
    const ids: readonly [IdType, unknown][] = [
      ["objectId", new ObjectId()],
      ["string", 'ä"\\'],
      ["integer", Long.MAX_VALUE],
      ["integer", new Int32(-1)],
      ["uuid", new UUID()],
      [
        "mixed",
        new Map<string, unknown>([
          ["b", 1],
          ["1", "x"],
          ["x", true],
        ]),
      ],
      ["mixed", { n: { $ref: "c", $id: 1 }, t: [null, true] }],
      ["mixed", new Binary(Buffer.from("a"), 5)],
      ["mixed", null],
      ["mixed", new Double(0.1)],
    ];
    for (const [idType, id] of ids) {
      const text = key(idType, id) ?? "";
      expect(key(idType, idOfKey(idType, text)), EJSON.stringify({ id })).toBe(text);
    }
  });

  test("does not exist for the text of another type", () => {
    expect(idOfKey("objectId", "0123456789ABCDEF01234567")).toBeUndefined();
    expect(idOfKey("objectId", "x")).toBeUndefined();
    expect(idOfKey("uuid", "x")).toBeUndefined();
    expect(idOfKey("mixed", "x")).toBeUndefined();
    expect(idOfKey("mixed", "7")).toBeUndefined();
  });
});
