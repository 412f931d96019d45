import { createHmac } from "node:crypto";
import { Binary, BSON, Code, Decimal128, Int32, Long, ObjectId } from "bson";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Redaction } from "../../../src/schemas/mapping/mapping.ts";
import { Redactor } from "../../../src/schemas/redaction/redactor.ts";
import { fields } from "../formats/arbitrary-bson.ts";
import { documentBytes } from "../formats/bson-model.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const hmac = (content: string | Buffer) => createHmac("sha256", KEY).update(content).digest("hex");

function redacted(document: object, redactions: Readonly<Record<string, Redaction["action"]>>): unknown {
  const list = Object.entries(redactions).map(([path, action]) => ({ path: path.split("."), action }));
  return BSON.deserialize(new Redactor(list, KEY).redact(BSON.serialize(document)), { promoteValues: true });
}

test("drop leaves a field out, null empties it, whatever it holds", () => {
  const document = { a: 1, b: { c: "x", d: [1, { e: 2 }] }, f: ["y"] };
  expect(redacted(document, { a: "drop", "b.d": "null", f: "null" })).toEqual({ b: { c: "x", d: null }, f: null });
  expect(redacted(document, { b: "drop", missing: "drop" })).toEqual({ a: 1, f: ["y"] });
});

test("a path leads into sub-documents and into each element of an array", () => {
  const document = { people: [{ mail: "a@b", n: 1 }, 5, [{ mail: "c@d" }], { other: { mail: "kept" } }], mail: "kept" };
  expect(redacted(document, { "people.mail": "drop" })).toEqual({
    people: [{ n: 1 }, 5, [{}], { other: { mail: "kept" } }],
    mail: "kept",
  });
});

test("hash replaces a value by the HMAC-SHA-256 of its text; in an array, each element", () => {
  const document = { mail: "ä@b", tags: ["x", ["y"], null], id: new ObjectId("65f0c0ffee00000000000001"), none: null };
  expect(redacted(document, { mail: "hash", tags: "hash", id: "hash", none: "hash" })).toEqual({
    mail: hmac("ä@b"),
    tags: [hmac("x"), [hmac("y")], null],
    id: hmac("65f0c0ffee00000000000001"),
    none: null,
  });
});

test("equal numbers have equal hashes, whatever their types", () => {
  for (const [text, values] of [
    ["5", [new Int32(5), Long.fromNumber(5), 5, Decimal128.fromString("5.00")]],
    ["1.5", [1.5, Decimal128.fromString("1.50")]],
    ["100", [100, Decimal128.fromString("1E+2")]],
    ["1000000000000000000000", [1e21, Decimal128.fromString("1E+21")]],
    ["-0.00012", [-0.00012, Decimal128.fromString("-1.2E-4")]],
    ["0", [-0, Decimal128.fromString("-0.00")]],
  ] as const)
    for (const value of values) expect(redacted({ value }, { value: "hash" })).toEqual({ value: hmac(text) });
});

test("in a document, hash replaces each value; what has no text becomes null", () => {
  const inner = { a: 1, b: [true, { c: new Date(0) }], code: new Code("x"), none: null };
  expect(redacted({ inner }, { inner: "hash" })).toEqual({
    inner: { a: hmac("1"), b: [hmac("true"), { c: hmac("1970-01-01T00:00:00.000Z") }], code: null, none: null },
  });
  const uuid = new Binary(Buffer.from("00112233445566778899aabbccddeeff", "hex"), 4);
  expect(redacted({ uuid }, { uuid: "hash" })).toEqual({ uuid: hmac("00112233-4455-6677-8899-aabbccddeeff") });
});

test("a document without the fields stays as it is, byte for byte, and the redactor's input always does", () => {
  fc.assert(
    fc.property(fields, (each) => {
      const bytes = documentBytes(each);
      const before = Buffer.from(bytes);
      const redactor = new Redactor([{ path: ["not there", "x"], action: "hash" }], KEY);
      expect(redactor.redact(bytes).equals(before)).toBe(true);
      expect(bytes.equals(before)).toBe(true);
    }),
  );
});

test("what is redacted is well-formed, and has none of the values", () => {
  const secret = "a-secret-that-nobody-may-see";
  const value = fc.oneof(fc.constant(secret), fc.array(fc.constant(secret)), fc.record({ x: fc.constant([secret]) }));
  fc.assert(
    fc.property(value, fc.constantFrom("drop", "null", "hash"), fc.integer(), (each, action, n) => {
      const list: Redaction[] = [
        { path: ["a", "b"], action },
        { path: ["c"], action },
      ];
      const bytes = new Redactor(list, KEY).redact(BSON.serialize({ c: each, a: [{ b: each, n }, { b: each }], n }));
      expect(bytes.includes(secret)).toBe(false);
      expect(BSON.deserialize(bytes)).toMatchObject({ a: [{ n }, {}], n });
    }),
  );
});
