import { BSON, ObjectId } from "bson";
import { expect, test } from "vitest";
import { encodeSignal, readSignalId } from "../../src/schemas/signal.ts";
import type { Finding } from "../../src/verify/compare-rows.ts";
import { Repairs } from "../../src/verify/repairs.ts";

const missing: Finding = { kind: "missing" };
const extra: Finding = { kind: "extra" };

test("each key becomes one id of a snapshot signal", () => {
  const id = new ObjectId();
  const repairs = new Repairs();
  repairs.add("carts", "objectId", new Map([[id.toHexString(), missing]]));
  repairs.add("carts", "objectId", new Map([[id.toHexString(), missing]]));
  repairs.add("cities", "integer", new Map([["-7", extra]]));
  const signals = repairs.signals();
  expect(signals.map(({ type, collection }) => [type, collection])).toEqual([
    ["snapshot", "carts"],
    ["snapshot", "cities"],
  ]);
  const asked = signals.map((signal) => {
    encodeSignal(signal);
    return signal.type === "snapshot" ? (signal.ids ?? []).map((each) => BSON.deserialize(readSignalId(each.id))) : [];
  });
  expect(asked).toEqual([[{ _id: id }], [{ _id: -7 }]]);
});

test("many keys are split into several signals; too many keys become a resync", () => {
  const keys = (count: number) => new Map(Array.from({ length: count }, (_, key) => [String(key), missing] as const));
  const some = new Repairs();
  some.add("cities", "integer", keys(2_500));
  expect(some.signals().map((signal) => signal.type === "snapshot" && signal.ids?.length)).toEqual([1_000, 1_000, 500]);
  const all = new Repairs();
  all.add("cities", "integer", keys(100_001));
  all.add("cities", "integer", new Map([["-1", missing]]));
  expect(all.signals()).toEqual([{ type: "resync", collection: "cities" }]);
});

test("a key that no _id finds becomes a resync; a document that can have no row needs no repair", () => {
  const repairs = new Repairs();
  repairs.add("carts", "objectId", new Map([["no ObjectId", extra]]));
  repairs.add("cities", "mixed", new Map([['{"$numberDouble":"NaN"}', { kind: "missing", isKeyless: true }]]));
  // JavaScript has no such date.
  repairs.add("days", "mixed", new Map([['{"$date":{"$numberLong":"9223372036854775807"}}', missing]]));
  expect(repairs.signals()).toEqual([
    { type: "resync", collection: "carts" },
    { type: "resync", collection: "days" },
  ]);
});
