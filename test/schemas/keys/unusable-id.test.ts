import { BSON } from "bson";
import { expect, test } from "vitest";
import { unusableIdText } from "../../../src/schemas/keys/unusable-id.ts";

test("an _id that cannot be a key is shown as Extended JSON", () => {
  expect(unusableIdText(BSON.serialize({ _id: "a\0b", other: 1 }))).toBe('"a\\u0000b"');
  expect(unusableIdText(BSON.serialize({ _id: { n: 1, s: "\0" } }))).toBe('{"n":{"$numberInt":"1"},"s":"\\u0000"}');
});

test("text that is not UTF-8 is shown with the replacement character, and long text is cut", () => {
  const bytes = Buffer.from(BSON.serialize({ _id: "a?b" }));
  bytes[bytes.indexOf("?")] = 0xff;
  expect(unusableIdText(bytes)).toBe('"a\uFFFDb"');
  expect(unusableIdText(BSON.serialize({ _id: `\0${"x".repeat(2_000)}` }))).toHaveLength(1_000);
});

test("bytes that are not BSON have no text, and neither has a document without an _id", () => {
  expect(unusableIdText(Buffer.from("not BSON"))).toBeNull();
  expect(unusableIdText(BSON.serialize({ a: 1 }))).toBeNull();
});
