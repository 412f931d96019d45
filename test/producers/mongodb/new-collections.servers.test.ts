import { expect, test } from "vitest";
import { freshMongoDatabase } from "../../support/servers.ts";
import {
  catchUp,
  collect,
  contentOf,
  documentChanges,
  finalState,
  lastPosition,
  sourceOf,
} from "./source-collector.ts";
import type { Item } from "./source-collector.ts";

test("if every collection is replicated, a new collection is complete and copied once", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("first").insertOne({ _id: 1 });
  const start = lastPosition(await catchUp(db, null));
  const source = sourceOf(db);
  let isMade = false;
  const batches = await collect(source, start, async ({ position }) => {
    if (!isMade) await db.collection<Item>("second").insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }, { _id: 4 }]);
    isMade = true;
    return position.snapshots.get("second")?.state === "done";
  });
  expect(finalState(documentChanges(batches))).toEqual(await contentOf(db, ["second"]));
  expect(documentChanges(await catchUp(db, lastPosition(batches)))).toEqual([]);
});

test("a collection that the config adds is copied, and the others are not copied again", async () => {
  const { db } = await freshMongoDatabase();
  for (const name of ["first", "second", "third"]) await db.collection<Item>(name).insertOne({ _id: 1 });
  const two = await catchUp(db, null, { collections: ["first", "second"] });
  const three = await catchUp(db, lastPosition(two), { collections: ["third", "second", "first"] });
  expect(documentChanges(three).map(({ collection }) => collection)).toEqual(["third"]);
});

test("mode never follows a new collection without a copy", async () => {
  const { db } = await freshMongoDatabase();
  const batches = await catchUp(db, null, { snapshotMode: "never" });
  await db.collection<Item>("items").insertOne({ _id: 1 });
  const changes = documentChanges(await catchUp(db, lastPosition(batches), { snapshotMode: "never" }));
  expect(changes.map(({ op }) => op)).toEqual(["c"]);
});

test("a collection renamed from another database is complete, and MongoDB's temporary collection is left out", async () => {
  const { client, db } = await freshMongoDatabase();
  const other = await freshMongoDatabase();
  await db.collection<Item>("first").insertOne({ _id: 1 });
  await other.db.collection<Item>("moved").insertMany([{ _id: 1 }, { _id: 2 }]);
  const start = lastPosition(await catchUp(db, null));
  const source = sourceOf(db);
  let isMoved = false;
  const batches = await collect(source, start, async ({ position }) => {
    const to = `${db.databaseName}.moved`;
    if (!isMoved) {
      await client.db("admin").command({ renameCollection: `${other.db.databaseName}.moved`, to });
    }
    isMoved = true;
    return position.snapshots.get("moved")?.state === "done";
  });
  const changes = documentChanges(batches);
  expect(new Set(changes.map(({ collection }) => collection))).toEqual(new Set(["moved"]));
  expect([...lastPosition(batches).snapshots.keys()].toSorted()).toEqual(["first", "moved"]);
  expect(finalState(changes)).toEqual(await contentOf(db, ["moved"]));
});
