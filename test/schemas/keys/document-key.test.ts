import { BSONSymbol, Binary, Decimal128, Double, EJSON, Int32, Long, ObjectId, UUID, serialize } from "bson";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalKey, idTypeOfDocuments, keyColumnType, keyToId } from "../../../src/schemas/keys/document-key.ts";
import { ID_TYPES, type IdType } from "../../../src/schemas/mapping/mapping.ts";
import { anyId, documentOf, numberId } from "../../support/id-arbitraries.ts";

const key = (idType: IdType, id: unknown) => canonicalKey(idType, documentOf(id));
const mixed = (id: unknown) => key("mixed", id);

const OBJECT_ID = new ObjectId("6570a1b2c3d4e5f601234567");
const UUID_ID = new UUID("6570a1b2-c3d4-4e5f-8601-23456789abcd");

describe("a mixed collection's key", () => {
  it("is the same for all numbers with the same value", () => {
    const sevens = [
      7,
      new Double(7),
      Long.fromNumber(7),
      ...["7", "7.00", "7E0", "70E-1"].map((text) => new Decimal128(text)),
    ];
    expect(new Set(sevens.map(mixed))).toEqual(new Set(['{"$numberLong":"7"}']));
    const halves = [new Double(7.5), new Decimal128("7.5"), new Decimal128("7.500"), new Decimal128("75E-1")];
    expect(new Set(halves.map(mixed))).toEqual(new Set(['{"$numberDecimal":"7.5"}']));
    const zeros = [0, new Double(-0), new Decimal128("-0"), new Decimal128("0E+10")];
    expect(new Set(zeros.map(mixed))).toEqual(new Set(['{"$numberLong":"0"}']));
  });

  it("is different for a double and a decimal that have the same digits but not the same value", () => {
    expect(mixed(0.1)).toBe('{"$numberDouble":"0.1"}');
    expect(mixed(new Decimal128("0.1"))).toBe('{"$numberDecimal":"0.1"}');
    expect(mixed(1e300)).not.toBe(mixed(new Decimal128("1E300")));
  });

  it("is the same for a large double and the decimal with its value", () => {
    expect(mixed(1e22)).toBe(mixed(new Decimal128("1E22")));
    expect(mixed(2 ** 100)).toBe(mixed(new Decimal128("1267650600228229401496703205376")));
    expect(mixed(-(2 ** 63))).toBe(mixed(Long.MIN_VALUE));
    expect(mixed(2 ** 63)).toBe('{"$numberDecimal":"9223372036854775808"}');
    expect(mixed(2 ** -20)).toBe('{"$numberDecimal":"9.5367431640625E-7"}');
  });

  it("is the same for NaN and infinities of all number types", () => {
    expect(mixed(Number.NaN)).toBe(mixed(new Decimal128("NaN")));
    expect(mixed(Number.NEGATIVE_INFINITY)).toBe(mixed(new Decimal128("-Infinity")));
    expect(mixed(Number.POSITIVE_INFINITY)).toBe('{"$numberDouble":"Infinity"}');
  });

  it("is different for 7 and the text 7", () => {
    expect(mixed("7")).toBe('"7"');
  });

  it("keeps the order of fields, and normalises values in sub-documents and arrays", () => {
    const one = mixed(
      new Map<string, unknown>([
        ["b", 7],
        ["1", [new Double(7), "x"]],
      ]),
    );
    expect(one).toBe('{"b":{"$numberLong":"7"},"1":[{"$numberLong":"7"},"x"]}');
    expect(
      mixed(
        new Map<string, unknown>([
          ["1", [7, new BSONSymbol("x")]],
          ["b", new Decimal128("7.0")],
        ]),
      ),
    ).not.toBe(one);
    expect(
      mixed(
        new Map<string, unknown>([
          ["b", Long.fromNumber(7)],
          ["1", [7, new BSONSymbol("x")]],
        ]),
      ),
    ).toBe(one);
  });

  it("is canonical Extended JSON, and the value that it describes has the same key", () => {
    fc.assert(
      fc.property(anyId, (id) => {
        const text = mixed(id);
        expect(() => EJSON.parse(text, { relaxed: false })).not.toThrow();
        expect(mixed(keyToId("mixed", text))).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it("is refused if two _ids could have the same key", () => {
    const invalid = expect.objectContaining({ code: "KEY_INVALID", kind: "poison" });
    expect(() => mixed({ $oid: "6570a1b2c3d4e5f601234567" })).toThrow(invalid);
    expect(() => mixed({ a: { $numberLong: "7" } })).toThrow(invalid);
    expect(() => mixed({ a: "x\0" })).toThrow(invalid);
    const twice = Buffer.from(serialize({ _id: { a: 1, b: 2 } }));
    twice[twice.indexOf("b\0", 0, "latin1")] = "a".charCodeAt(0);
    expect(() => canonicalKey("mixed", twice)).toThrow(invalid);
    expect(mixed({ $ref: "c", $id: 7 })).toBe('{"$ref":"c","$id":{"$numberLong":"7"}}');
  });
});

describe("the key of a collection with one type", () => {
  it("is plain text", () => {
    expect(key("objectId", OBJECT_ID)).toBe("6570a1b2c3d4e5f601234567");
    expect(key("string", "a\ufeffé😀")).toBe("a\ufeffé😀");
    expect(key("string", new BSONSymbol("a"))).toBe("a");
    expect(key("uuid", UUID_ID)).toBe("6570a1b2-c3d4-4e5f-8601-23456789abcd");
    expect(key("integer", Long.MIN_VALUE)).toBe("-9223372036854775808");
    expect(key("integer", new Double(-0))).toBe("0");
    expect(key("integer", new Decimal128("7.00E2"))).toBe("700");
  });

  it("is refused for another type, without showing the value", () => {
    const strangers: [IdType, unknown][] = [
      ["objectId", "6570a1b2c3d4e5f601234567"],
      ["string", 7],
      ["string", new ObjectId("6570a1b2c3d4e5f601234567")],
      ["integer", "7"],
      ["integer", 7.5],
      ["integer", Number.NaN],
      ["integer", new Decimal128("9223372036854775808")],
      ["integer", 2 ** 63],
      ["uuid", "6570a1b2-c3d4-4e5f-8601-23456789abcd"],
      ["uuid", new Binary(UUID_ID.buffer, 3)],
      ["uuid", new Binary(Buffer.alloc(15), 4)],
    ];
    for (const [idType, id] of strangers) {
      expect(() => key(idType, id)).toThrow(
        expect.objectContaining({
          code: "ID_TYPE_MISMATCH",
          kind: "poison",
          message: expect.not.stringMatching(/6570|7\.5/),
        }),
      );
    }
  });

  it("is refused for text that is not UTF-8 or contains a NUL", () => {
    const invalid = expect.objectContaining({ code: "KEY_INVALID" });
    expect(() => key("string", "a\0b")).toThrow(invalid);
    const document = Buffer.from(documentOf("ab"));
    document[document.indexOf("ab")] = 0xff;
    expect(() => canonicalKey("string", document)).toThrow(invalid);
    expect(() => canonicalKey("mixed", document)).toThrow(invalid);
  });

  it("is found at any place in a whole document", () => {
    expect(canonicalKey("string", documentOf("a", { b: 1 }))).toBe("a");
    expect(canonicalKey("string", serialize({ x: { _id: 1 }, _ie: 5, _id: "a", b: 1 }))).toBe("a");
    expect(() => canonicalKey("string", serialize({ id: "a" }))).toThrow(
      expect.objectContaining({ code: "KEY_INVALID" }),
    );
    const inner = Buffer.concat([Buffer.from("before"), documentOf("a"), Buffer.from("after")]);
    expect(canonicalKey("string", new Uint8Array(inner.buffer, inner.byteOffset + 6, inner.length - 11))).toBe("a");
  });

  it("is the same for two numbers if and only if it is in a mixed collection", () => {
    const integer = numberId.filter((id) => idTypeOfDocuments([documentOf(id)]) === "integer");
    fc.assert(
      fc.property(integer, integer, (left, right) => {
        expect(key("integer", left) === key("integer", right)).toBe(mixed(left) === mixed(right));
      }),
    );
  });

  it("can be turned into an _id with the same key", () => {
    fc.assert(
      fc.property(anyId, fc.constantFrom(...ID_TYPES), (id, idType) => {
        fc.pre(idTypeOfDocuments([documentOf(id)]) === idType);
        const text = key(idType, id);
        expect(key(idType, keyToId(idType, text))).toBe(text);
      }),
    );
    expect(keyToId("integer", "7")).toEqual(Long.fromNumber(7));
    expect(keyToId("objectId", "6570a1b2c3d4e5f601234567")).toEqual(OBJECT_ID);
    expect(keyToId("uuid", UUID_ID.toString())).toEqual(UUID_ID);
  });
});

describe("an invalid key", () => {
  it.each<[IdType, string]>([
    ["objectId", "7"],
    ["integer", "7.5"],
    ["integer", "9223372036854775808"],
    ["uuid", "7"],
    ["mixed", "{"],
    ["mixed", '{"$oid":"7"}'],
  ])("of type %s is refused: %s", (idType, text) => {
    expect(() => keyToId(idType, text)).toThrow(expect.objectContaining({ code: "KEY_INVALID" }));
  });
});

describe("the _id type by the first and last document", () => {
  it("is undefined for an empty collection", () => {
    expect(idTypeOfDocuments([])).toBeUndefined();
  });

  it.each<[IdType, unknown, unknown]>([
    ["objectId", OBJECT_ID, new ObjectId()],
    ["string", "a", new BSONSymbol("b")],
    ["string", "a\0", "b"],
    ["integer", new Int32(7), new Decimal128("8.0")],
    ["integer", Long.MAX_VALUE, 7],
    ["uuid", UUID_ID, new UUID()],
    ["mixed", 7, "7"],
    ["mixed", 7, 7.5],
    ["mixed", null, null],
    ["mixed", { a: 1 }, { a: 2 }],
    ["mixed", new Date(0), new Date(1)],
    ["mixed", UUID_ID, new Binary(Buffer.alloc(16), 0)],
  ])("is %s for %s and %s", (idType, first, last) => {
    expect(idTypeOfDocuments([documentOf(first), documentOf(last)])).toBe(idType);
  });

  it("determines the column's type", () => {
    expect(ID_TYPES.map(keyColumnType)).toEqual(["text", "text", "bigint", "uuid", "text"]);
  });
});
