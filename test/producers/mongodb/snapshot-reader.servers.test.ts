import { Decimal128, Double, Int32, Long, MinKey, ObjectId, UUID } from "mongodb";
import { expect, test } from "vitest";
import { freshMongoDatabase } from "../../support/servers.ts";
import {
  catchUp,
  clusterTimeOf,
  collect,
  contentOf,
  documentChanges,
  finalState,
  lastPosition,
  sourceOf,
} from "./source-collector.ts";
import type { Item } from "./source-collector.ts";

const ODD_IDS = [
  new Int32(1),
  new Double(1.5),
  Long.fromString("9007199254740993"),
  Decimal128.fromString("7.25"),
  new Double(Number.NaN),
  "text",
  "",
  new ObjectId(),
  new UUID(),
  new Date(0),
  true,
  null,
  new MinKey(),
  { a: 1, b: { c: "x" } },
  { b: { c: "x" }, a: 1 },
];

test("reads _ids of every type, and resumes at its last chunk", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<{ _id: unknown }>("items").insertMany(ODD_IDS.map((_id) => ({ _id })));
  const batches = await catchUp(db, null);
  expect(finalState(documentChanges(batches))).toEqual(await contentOf(db, ["items"]));
  for (const [index, { position }] of batches.entries()) {
    const rest = documentChanges(await catchUp(db, position));
    const before = documentChanges(batches.slice(0, index + 1));
    expect(before.length + rest.length).toBe(ODD_IDS.length);
    expect(finalState([...before, ...rest]).size).toBe(ODD_IDS.length);
  }
});

test("passes over an _id that the driver cannot send back", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("ids").insertMany([1, 2, 3, 4, 5, 6, 7].map((_id) => ({ _id })));
  // Only the server can make dates outside JavaScript's range.
  const late = (ms: number) => ({ $add: [new Date(8.64e15), Long.fromNumber(ms)] });
  for (const ms of [1, 2]) {
    await db
      .collection<Item>("ids")
      .aggregate([{ $match: { _id: 1 } }, { $set: { _id: late(ms) } }, { $merge: "ids" }])
      .toArray();
  }
  const changes = documentChanges(await catchUp(db, null));
  expect(finalState(changes).size).toBe(9);
});

test("a document of 16 MB at the end of a chunk hides no later document", async () => {
  const { db } = await freshMongoDatabase();
  const text = "x".repeat(16_700_000);
  for (const _id of [1, 2, 3]) await db.collection<Item>("items").insertOne({ _id, text });
  const changes = documentChanges(await catchUp(db, null, { chunkDocuments: 1 }));
  expect(changes.map(({ op }) => op)).toEqual(["r", "r", "r"]);
});

test.each([
  ["clustered", { clusteredIndex: { key: { _id: 1 }, unique: true } }],
  ["with a collation", { collation: { locale: "en", strength: 2 } }],
])("reads a collection that is %s, and its later changes", async (_kind, options) => {
  const { db } = await freshMongoDatabase();
  const items = await db.createCollection<Item>("items", options);
  await items.insertMany(["a", "B", "c", "D", "e", "F", "g"].map((_id) => ({ _id })));
  const batches = await catchUp(db, null);
  expect(finalState(documentChanges(batches))).toEqual(await contentOf(db, ["items"]));
  await items.updateMany({}, { $set: { n: 1 } });
  await items.deleteOne({ _id: "a" });
  await items.insertOne({ _id: "A" });
  await items.updateOne({ _id: "A" }, { $set: { n: 2 } });
  batches.push(...(await catchUp(db, lastPosition(batches))));
  expect(finalState(documentChanges(batches))).toEqual(await contentOf(db, ["items"]));
});

test("a collection that is added later gets a snapshot of its own", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("first").insertOne({ _id: 1 });
  await db.collection<Item>("second").insertOne({ _id: 2 });
  const batches = await catchUp(db, null, { collections: ["first"] });
  const added = await catchUp(db, lastPosition(batches), { collections: ["first", "second"] });
  expect(documentChanges(added).map(({ collection, op }) => `${collection} ${op}`)).toEqual(["second r"]);
});

test("mode never takes no snapshot, mode only takes nothing but snapshots, mode always takes one at each start", async () => {
  const { db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: 1 });
  expect(documentChanges(await catchUp(db, null, { snapshotMode: "never" }))).toEqual([]);
  const only = await collect(sourceOf(db, { snapshotMode: "only" }), null);
  expect(documentChanges(only).map(({ op }) => op)).toEqual(["r"]);
  await items.insertOne({ _id: 2 });
  const always = await catchUp(db, lastPosition(only), { snapshotMode: "always" });
  expect(
    documentChanges(always)
      .map(({ op }) => op)
      .sort(),
  ).toEqual(["c", "r", "r"]);
  const initial = await catchUp(db, lastPosition(only));
  expect(documentChanges(initial).map(({ op }) => op)).toEqual(["c"]);
});

test("mode always takes one snapshot per process, not per session", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("items").insertMany([1, 2, 3, 4, 5, 6, 7, 8].map((_id) => ({ _id })));
  const done = lastPosition(await catchUp(db, null));
  const source = sourceOf(db, { snapshotMode: "always", until: await clusterTimeOf(db) });
  const first = await collect(source, done, ({ events }) => events.length > 0);
  const second = await collect(source, lastPosition(first));
  expect(documentChanges([...first, ...second]).length).toBe(8);
  expect(documentChanges(await collect(source, lastPosition(second)))).toEqual([]);
});

test("while changes come, a read is published in parts, each with its own position", async () => {
  const { db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  await items.insertMany(Array.from({ length: 1_000 }, (_, _id) => ({ _id })));
  const busy = db.collection<Item>("busy");
  await busy.insertOne({ _id: 1 });
  const until = await clusterTimeOf(db);
  const options = { chunkDocuments: 2_000, until };
  let writes = 0;
  const batches = await collect(sourceOf(db, options), null, async ({ position }) => {
    await busy.updateOne({ _id: 1 }, { $set: { n: writes++ } });
    return position.snapshots.get("items")?.state === "done";
  });
  const parts = batches.filter(({ events }) => events.some(({ collection }) => collection === "items"));
  expect(parts.length).toBeGreaterThan(1);
  for (const [index, { position }] of parts.entries()) {
    const before = documentChanges(parts.slice(0, index + 1));
    const rest = documentChanges(await collect(sourceOf(db, options), position)).filter(({ op }) => op === "r");
    expect(before.length + rest.length).toBe(1_000);
    expect(finalState([...before, ...rest]).size).toBe(1_000);
  }
});
