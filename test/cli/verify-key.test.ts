import { BSONSymbol, Binary, Decimal128, Double, EJSON, Int32, Long, ObjectId, UUID, serialize } from "bson";
import { describe, expect, test } from "vitest";
import { readId } from "../../src/cli/verify-bson.ts";
import { expectedKey, idOfKey } from "../../src/cli/verify-key.ts";
import type { IdType } from "../../src/schemas/collection-schema.ts";

const key = (idType: IdType, _id: unknown): string | undefined => expectedKey(idType, readId(serialize({ _id })));

describe("keys of one type", () => {
  test("are the type's own text", () => {
    expect(key("objectId", new ObjectId("0123456789abcdef01234567"))).toBe("0123456789abcdef01234567");
    expect(key("string", "a")).toBe("a");
    expect(key("uuid", new UUID("01234567-89ab-cdef-0123-456789abcdef"))).toBe("01234567-89ab-cdef-0123-456789abcdef");
    for (const seven of [new Int32(7), Long.fromNumber(7), new Double(7), Decimal128.fromString("7.00")]) {
      expect(key("integer", seven)).toBe("7");
    }
    expect(key("integer", new Double(-0))).toBe("0");
    expect(key("integer", Long.MIN_VALUE)).toBe("-9223372036854775808");
  });

  test("have no room for another type", () => {
    expect(key("objectId", "0123456789abcdef01234567")).toBeUndefined();
    expect(key("string", new ObjectId())).toBeUndefined();
    expect(key("string", "a\0b")).toBeUndefined();
    expect(key("string", "a\\u0000b")).toBe("a\\u0000b");
    expect(key("uuid", new Binary(Buffer.alloc(16), 0))).toBeUndefined();
    for (const other of ["7", new Double(7.5), Decimal128.fromString("1E+19"), new Double(Number.NaN), null]) {
      expect(key("integer", other)).toBeUndefined();
    }
  });
});

describe("mixed keys", () => {
  test("are one text for what MongoDB holds equal", () => {
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

  test("keep the order of fields, and tell nested values apart", () => {
    const id = new Map<string, unknown>([
      ["b", new Double(7)],
      ["2", [new ObjectId("0123456789abcdef01234567"), { x: new Date(5) }]],
    ]);
    expect(key("mixed", id)).toBe(
      '{"b":{"$numberLong":"7"},"2":[{"$oid":"0123456789abcdef01234567"},{"x":{"$date":{"$numberLong":"5"}}}]}',
    );
  });

  test("with NUL anywhere are none", () => {
    expect(key("mixed", { a: ["\0"] })).toBeUndefined();
    expect(key("mixed", { a: "\\u0000" })).toBe('{"a":"\\\\u0000"}');
  });
});

describe("the _id of a key", () => {
  test("has that key again", () => {
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
          ["$db", true],
        ]),
      ],
      ["mixed", { n: { $numberText: 1 }, t: [null, true] }],
      ["mixed", new Binary(Buffer.from("a"), 5)],
      ["mixed", null],
      ["mixed", new Double(0.1)],
    ];
    for (const [idType, id] of ids) {
      const text = key(idType, id) ?? "";
      expect(key(idType, idOfKey(idType, text)), EJSON.stringify({ id })).toBe(text);
    }
  });

  test("does not exist for a text of another type", () => {
    expect(idOfKey("objectId", "0123456789ABCDEF01234567")).toBeUndefined();
    expect(idOfKey("objectId", "x")).toBeUndefined();
    expect(idOfKey("uuid", "x")).toBeUndefined();
    expect(idOfKey("mixed", "x")).toBeUndefined();
    expect(idOfKey("mixed", "7")).toBeUndefined();
  });
});
