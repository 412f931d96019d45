import type { Db } from "mongodb";
import { expect, test } from "vitest";
import { freshMongoDatabase } from "../../support/servers.ts";
import { catchUp, lastPosition } from "./source-collector.ts";
import type { Item } from "./source-collector.ts";

const ddl: readonly (readonly [string, string, (db: Db) => Promise<unknown>])[] = [
  ["drop", "COLLECTION_DROPPED", (db) => db.dropCollection("items")],
  ["dropDatabase", "COLLECTION_DROPPED", (db) => db.dropDatabase()],
  ["rename away", "COLLECTION_RENAMED", (db) => db.collection("items").rename("others")],
  ["rename onto it", "COLLECTION_RENAMED", (db) => db.collection("source").rename("items", { dropTarget: true })],
  [
    "$out",
    "COLLECTION_RENAMED",
    (db) =>
      db
        .collection("source")
        .aggregate([{ $out: "items" }])
        .toArray(),
  ],
];
for (const [name, code, change] of ddl) {
  for (const collections of [null, ["items"]]) {
    test(`${name}, of ${collections === null ? "all collections" : "a given one"}`, async () => {
      const { db } = await freshMongoDatabase();
      await db.collection<Item>("items").insertOne({ _id: 1 });
      await db.collection<Item>("source").insertOne({ _id: 2 });
      const start = lastPosition(await catchUp(db, null, { collections }));
      await db.collection<Item>("items").updateOne({ _id: 1 }, { $set: { n: 1 } });
      await change(db);
      if ((await db.listCollections({ name: "items" }).toArray()).length === 0) await db.createCollection("items");
      await expect(catchUp(db, start, { collections, onDrop: "fail" })).rejects.toMatchObject({ code, kind: "fatal" });
    });
  }
}

test("a view and a capped collection in the config", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("items").insertOne({ _id: 1 });
  await db.command({ create: "view", viewOn: "items", pipeline: [] });
  await db.createCollection("log", { capped: true, size: 10_000 });
  for (const name of ["view", "log"]) {
    await expect(catchUp(db, null, { collections: ["items", name] })).rejects.toMatchObject({
      code: "COLLECTION_UNFIT",
      message: expect.stringContaining(JSON.stringify(name)) as string,
    });
  }
});

test("a position of another cluster", async () => {
  const { db } = await freshMongoDatabase();
  await db.createCollection("items");
  const position = lastPosition(await catchUp(db, null));
  const [setName] = position.cluster.split("/");
  const others = [`${setName}/000000000000000000000000`, `other${position.cluster}`];
  for (const cluster of others) {
    await expect(catchUp(db, { ...position, cluster })).rejects.toMatchObject({ code: "POSITION_OF_OTHER_CLUSTER" });
  }
  // A position from a time when the user could not read the id.
  await catchUp(db, { ...position, cluster: setName ?? "" });
});
