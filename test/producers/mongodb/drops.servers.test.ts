import type { Db } from "mongodb";
import { expect, test } from "vitest";
import type { SourceBatch } from "../../../src/producers/ports.ts";
import { freshMongoDatabase } from "../../support/servers.ts";
import {
  catchUp,
  clusterTimeOf,
  collect,
  contentOf,
  finalState,
  keyOfChange,
  lastPosition,
  sourceOf,
} from "./source-collector.ts";
import type { Item } from "./source-collector.ts";

const CHANGES: readonly (readonly [name: string, change: (db: Db) => Promise<unknown>])[] = [
  ["drop", (db) => db.dropCollection("items")],
  [
    "drop and make again",
    async (db) => {
      await db.dropCollection("items");
      await items(db).insertMany([{ _id: 1, made: "again" }, { _id: 9 }]);
    },
  ],
  ["dropDatabase", (db) => db.dropDatabase()],
  [
    "dropDatabase and make again",
    async (db) => {
      await db.dropDatabase();
      await items(db).insertOne({ _id: 1, made: "again" });
    },
  ],
  ["rename away", (db) => items(db).rename("others")],
  ["rename onto it", (db) => db.collection("source").rename("items", { dropTarget: true })],
  ["$out", (db) => out(db)],
  [
    "$out twice, with changes between",
    async (db) => {
      await out(db);
      await items(db).updateMany({}, { $set: { n: 5 } });
      await out(db);
      await items(db).deleteOne({ _id: 101 });
    },
  ],
];

for (const [name, change] of CHANGES) {
  for (const collections of [null, ["items"]]) {
    test(`${name}, of ${collections === null ? "all collections" : "a given one"}, wherever it is stopped`, async () => {
      const { db } = await freshMongoDatabase();
      await items(db).insertMany(Array.from({ length: 20 }, (_, _id) => ({ _id })));
      await db.collection<Item>("source").insertMany(Array.from({ length: 10 }, (_, n) => ({ _id: 100 + n })));
      const first = await catchUp(db, null, { collections });
      await items(db).updateMany({}, { $set: { n: 1 } });
      await change(db);
      const present = (await db.listCollections().toArray()).map((info) => info.name);
      const expected = await contentOf(db, collections ?? present);
      const second = await catchUp(db, lastPosition(first), { collections });
      expect(tableOf([...first, ...second])).toEqual(expected);
      for (let at = 0; at < second.length; at++) {
        const again = await catchUp(db, second[at]?.position ?? null, { collections });
        expect(tableOf([...first, ...second.slice(0, at + 1), ...again])).toEqual(expected);
      }
    });
  }
}

test("one read continues after each of them", async () => {
  const { db } = await freshMongoDatabase();
  await items(db).insertOne({ _id: 0 });
  await db.collection<Item>("source").insertOne({ _id: 100 });
  const changes = [
    () => out(db),
    () => items(db).rename("others"),
    () => db.dropDatabase(),
    () => items(db).insertOne({ _id: 1 }),
  ];
  let changedAt = 0n;
  const batches = await collect(sourceOf(db), null, async ({ position }) => {
    const isQuiet = [...position.snapshots.values()].every(({ state }) => state === "done");
    if (!isQuiet || position.clusterTime < changedAt) return false;
    const change = changes.shift();
    await change?.();
    changedAt = await clusterTimeOf(db);
    return change === undefined;
  });
  batches.push(...(await catchUp(db, lastPosition(batches))));
  expect(tableOf(batches)).toEqual(await contentOf(db, ["items"]));
});

test("a running snapshot of a dropped collection ends", async () => {
  const { db } = await freshMongoDatabase();
  await items(db).insertMany(Array.from({ length: 20 }, (_, _id) => ({ _id })));
  const first = await collect(sourceOf(db), null, ({ events }) => events.length > 0);
  await db.dropCollection("items");
  const second = await catchUp(db, lastPosition(first));
  expect(tableOf([...first, ...second]).size).toBe(0);
  expect(lastPosition(second).snapshots.get("items")).toMatchObject({ state: "done" });
});

test("at a start, a configured collection may be missing because it was dropped", async () => {
  const { db } = await freshMongoDatabase();
  await items(db).insertOne({ _id: 1 });
  await db.createCollection("other");
  const first = await catchUp(db, null, { collections: ["items", "other"] });
  await db.dropCollection("items");
  const second = await catchUp(db, lastPosition(first), { collections: ["items", "other"] });
  const third = await catchUp(db, lastPosition(second), { collections: ["items", "other"] });
  await items(db).insertOne({ _id: 2 });
  const fourth = await catchUp(db, lastPosition(third), { collections: ["items", "other"] });
  expect(tableOf([...first, ...second, ...third, ...fourth])).toEqual(await contentOf(db, ["items"]));
});

function items(db: Db) {
  return db.collection<Item>("items");
}

async function out(db: Db): Promise<void> {
  await db
    .collection("source")
    .aggregate([{ $out: "items" }])
    .toArray();
}

/** The documents that a sink with the version guard and truncates ends with: canonical Extended JSON by key. */
function tableOf(batches: readonly SourceBatch[]): Map<string, string> {
  const rows = new Map<string, { version: bigint; text: string | undefined }>();
  const floors = new Map<string, bigint>();
  for (const event of batches.flatMap(({ events }) => events)) {
    const { collection, version } = event;
    if (event.op === "t") {
      floors.set(collection, version);
      for (const [key, row] of rows) if (key.startsWith(`${collection}/`) && row.version < version) rows.delete(key);
      continue;
    }
    const key = keyOfChange(event);
    expect(version).toBeGreaterThanOrEqual(floors.get(collection) ?? 0n);
    expect(version).toBeGreaterThanOrEqual(rows.get(key)?.version ?? 0n);
    rows.set(key, { version, text: finalState([event]).get(key) });
  }
  return new Map([...rows].flatMap(([key, { text }]) => (text === undefined ? [] : [[key, text] as const])));
}
