import { BSON, Decimal128, Double, ObjectId } from "bson";
import { expect, test } from "vitest";
import { canonicalKey } from "../../src/schemas/keys/document-key.ts";
import { decodeSignal, encodeSignal, readFilter, readSignalId, signalIdOf } from "../../src/schemas/signal.ts";
import type { Signal } from "../../src/schemas/signal.ts";

const objectId = new ObjectId("65a1b2c3d4e5f60718293a4b");

test.each<Signal>([
  { type: "resync", collection: "orders" },
  { type: "resync", collection: "orders", empty: true },
  { type: "snapshot", collection: "orders" },
  { type: "snapshot", collection: "orders", filter: '{"status":"open","n":{"$gt":5}}' },
  {
    type: "snapshot",
    collection: "orders",
    ids: [{ id: '"a"' }, { id: '{"$numberLong":"7"}', deadLetter: { offset: 2n ** 60n, attempts: 3 } }],
  },
])("a signal is decoded as it was encoded: $type, %#", (signal) => {
  expect(decodeSignal(encodeSignal(signal))).toEqual(signal);
});

test.each([
  ["no JSON", "{"],
  ["no object", "7"],
  ["of an unknown type", '{"type":"stop","collection":"a"}'],
  ["of no collection", '{"type":"resync"}'],
  ["with a field of a later version", '{"type":"resync","collection":"a","fast":true}'],
  ["with a filter and ids", String.raw`{"type":"snapshot","collection":"a","filter":"{}","ids":[{"id":"1"}]}`],
  ["with no ids", '{"type":"snapshot","collection":"a","ids":[]}'],
  ["with a filter that is a list", '{"type":"snapshot","collection":"a","filter":"[]"}'],
  ["with a filter that is no JSON", '{"type":"snapshot","collection":"a","filter":"{a:1}"}'],
  ["with a query for an id", String.raw`{"type":"snapshot","collection":"a","ids":[{"id":"{\"$gt\":1}"}]}`],
  ["with an id that is no JSON", '{"type":"snapshot","collection":"a","ids":[{"id":"abc"}]}'],
])("a record is refused if it is %s", (_what, text) => {
  expect(() => decodeSignal(text)).toThrow(expect.objectContaining({ code: "SIGNAL_INVALID", kind: "usage" }));
});

test.each([
  ["{status: 1}", "The filter is not valid Extended JSON: the mistake is at position 1."],
  ['{"status":', "The filter is not valid Extended JSON: it ends too early."],
  ['{"status":secret}', "The filter is not valid Extended JSON."],
])("an error says where a filter is wrong if the parser says it: %s", (text, message) => {
  expect(() => readFilter(text)).toThrow(expect.objectContaining({ message }));
});

test("an error shows neither filter nor id", () => {
  const text = String.raw`{"type":"snapshot","collection":"a","ids":[{"id":"secret"}]}`;
  expect(() => decodeSignal(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining("secret") }));
});

test.each([
  ["7", 7],
  ["7.0", new Double(7)],
  ['{"$numberDecimal":"7.00"}', Decimal128.fromString("7.00")],
  ['"7"', "7"],
  ['{"$oid":"65a1b2c3d4e5f60718293a4b"}', objectId],
  ['{"$date":"2024-01-01T00:00:00Z"}', new Date("2024-01-01T00:00:00Z")],
])("an id is sent as a value that MongoDB treats as equal: %s", (text, _id) => {
  const asked = readSignalId(signalIdOf(text));
  expect(canonicalKey("mixed", asked)).toBe(canonicalKey("mixed", BSON.serialize({ _id })));
});

test("the fields of an id that is a document keep their order", () => {
  const text = '{"b":{"$numberLong":"1"},"2":"x","1":"y"}';
  expect(signalIdOf(text)).toBe(text);
});

test("a filter's values keep their types", () => {
  expect(
    readFilter('{"at":{"$gte":{"$date":"2024-01-01T00:00:00Z"}},"by":{"$oid":"65a1b2c3d4e5f60718293a4b"}}'),
  ).toEqual({ at: { $gte: new Date("2024-01-01T00:00:00Z") }, by: objectId });
});
