import type { Db } from "mongodb";
import { expect, test, vi } from "vitest";
import type { SourceBatch } from "../../../src/producers/ports.ts";
import type { Position } from "../../../src/schemas/change-event.ts";
import { claimNames } from "../../../src/schemas/collection-names.ts";
import { freshMongoDatabase } from "../../support/servers.ts";
import {
  catchUp,
  clusterTimeOf,
  collect,
  contentOf,
  documentChanges,
  finalState,
  lastPosition,
  silentLogger,
  sourceOf,
} from "./source-collector.ts";
import type { Item } from "./source-collector.ts";

const LONG = "x".repeat(64);
const UNFIT = ["a_b", "log", LONG, "series", "system.profile", "view"];

async function makeUnfit(db: Db): Promise<void> {
  for (const name of ["a_b", LONG]) await db.collection<Item>(name).insertOne({ _id: 1 });
  await db.createCollection("log", { capped: true, size: 10_000 });
  await db.collection<Item>("log").insertOne({ _id: 1, n: 0 });
  await db.collection<Item>("log").updateOne({ _id: 1 }, { $set: { n: 1 } });
  await db.createCollection("view", { viewOn: "a.b", pipeline: [] });
  await db.createCollection("series", { timeseries: { timeField: "at" } });
  await db.collection("series").insertOne({ at: new Date() });
  await db.command({ profile: 2 });
  await db.collection("a.b").findOne();
  await db.command({ profile: 0 });
}

/** The options of a whole database, as of a process, and its warnings. */
function wholeDatabase(db: Db) {
  const warn = vi.fn<(fields: object, message: string) => void>();
  const logger = { ...silentLogger, warn };
  const warned = (): string[] =>
    warn.mock.calls.flatMap(([fields]) => Object.keys("collections" in fields ? (fields.collections as object) : {}));
  return { options: { claimName: claimNames("shop", db.databaseName, []), logger, lookEveryMs: 0 }, warned };
}

/** Does something once every snapshot is done, and reads until the source has caught up with it. */
async function whileRunning(
  db: Db,
  from: Position | null,
  options: Parameters<typeof sourceOf>[1],
  changes: readonly (() => Promise<unknown>)[],
): Promise<SourceBatch[]> {
  const left = [...changes];
  let changedAt = 0n;
  return await collect(sourceOf(db, options), from, async ({ position }) => {
    const isDone = [...position.snapshots.values()].every(({ state }) => state === "done");
    if (!isDone || position.clusterTime < changedAt) return false;
    const change = left.shift();
    await change?.();
    changedAt = await clusterTimeOf(db);
    return change === undefined;
  });
}

function collectionsOf(batches: readonly SourceBatch[]): string[] {
  return [...new Set(documentChanges(batches).map(({ collection }) => collection))].toSorted();
}

test("of a whole database, what cannot be replicated is left out with one warning, and the rest goes on", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("a.b").insertOne({ _id: 1 });
  await makeUnfit(db);
  const { options, warned } = wholeDatabase(db);
  const batches = await whileRunning(db, null, options, [
    () => db.collection<Item>("log").insertOne({ _id: 2 }),
    () => db.collection<Item>("a.b").insertOne({ _id: 2 }),
  ]);
  expect(finalState(documentChanges(batches))).toEqual(await contentOf(db, ["a.b"]));
  expect(warned().toSorted()).toEqual(UNFIT.toSorted());
  expect([...(lastPosition(batches).leftOut?.keys() ?? [])].toSorted()).toEqual(UNFIT.toSorted());
  expect(lastPosition(batches).leftOut?.get(LONG)).toContain("64 bytes");
});

test("what is made while the producer runs and cannot be replicated is left out with one warning", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("a.b").insertOne({ _id: 1 });
  const { options, warned } = wholeDatabase(db);
  const first = await whileRunning(db, null, options, [
    () => makeUnfit(db),
    () => db.collection<Item>("log").insertOne({ _id: 2 }),
    () => db.collection<Item>("a.b").insertOne({ _id: 2 }),
  ]);
  expect(finalState(documentChanges(first))).toEqual(await contentOf(db, ["a.b"]));
  expect(warned().toSorted()).toEqual(UNFIT.toSorted());
  expect([...(lastPosition(first).leftOut?.keys() ?? [])].toSorted()).toEqual(UNFIT.toSorted());
  // A name that is free again, and a collection of another kind under it.
  const second = await whileRunning(db, lastPosition(first), options, [
    async () => {
      await db.dropCollection("log");
      await db.dropCollection("view");
    },
    () => db.collection<Item>("log").insertOne({ _id: 3 }),
    () => db.collection<Item>("view").insertOne({ _id: 4 }),
  ]);
  expect(collectionsOf(second)).toEqual(["log", "view"]);
  expect(finalState(documentChanges(second))).toEqual(await contentOf(db, ["log", "view"]));
  expect([...lastPosition(second).snapshots.keys()].toSorted()).toEqual(["a.b", "log", "view"]);
});

test("a collection that the pipeline has stays when one is made whose topic Kafka cannot tell from it", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("a_b").insertOne({ _id: 1 });
  const first = await catchUp(db, null, wholeDatabase(db).options);
  await db.collection<Item>("a.b").insertOne({ _id: 1 });
  const { options, warned } = wholeDatabase(db);
  const second = await catchUp(db, lastPosition(first), options);
  expect(documentChanges(second)).toEqual([]);
  expect(warned()).toEqual(["a.b"]);
});

test.each(["while the producer runs", "while it is stopped"])(
  "a collection becomes capped, and another one a view, %s: their tables are emptied and not filled again",
  async (when) => {
    const { db } = await freshMongoDatabase();
    for (const name of ["items", "log", "old"]) await db.collection<Item>(name).insertMany([{ _id: 1 }, { _id: 2 }]);
    const change = async () => {
      await db.collection<Item>("log").insertOne({ _id: 3 });
      await db.collection<Item>("log").updateOne({ _id: 3 }, { $set: { n: 1 } });
      await db.collection<Item>("old").updateOne({ _id: 1 }, { $set: { n: 1 } });
      await db.command({ convertToCapped: "log", size: 10_000 });
      await db.collection("old").rename("new");
      await db.createCollection("old", { viewOn: "new", pipeline: [] });
    };
    const { options, warned } = wholeDatabase(db);
    const isRunning = when === "while the producer runs";
    const batches = await whileRunning(db, null, options, isRunning ? [change] : []);
    if (!isRunning) {
      await change();
      batches.push(...(await catchUp(db, lastPosition(batches), options)));
    }
    const truncated = batches.flatMap(({ events }) => events.filter(({ op }) => op === "t"));
    expect(truncated.map(({ collection }) => collection).toSorted()).toEqual(["log", "new", "old"]);
    for (const { collection, version } of truncated) {
      const newer = documentChanges(batches).filter((event) => event.collection === collection);
      if (collection !== "new") expect(newer.filter((event) => event.version >= version)).toEqual([]);
    }
    const ofNew = documentChanges(batches).filter(({ collection }) => collection === "new");
    expect(finalState(ofNew)).toEqual(await contentOf(db, ["new"]));
    expect(warned().toSorted()).toEqual(["log", "old"]);
    expect([...lastPosition(batches).snapshots.keys()].toSorted()).toEqual(["items", "new"]);
  },
);

test("a collection of the config that does not exist yet is waited for, with one warning", async () => {
  const { db } = await freshMongoDatabase();
  const other = await freshMongoDatabase();
  await db.collection<Item>("items").insertOne({ _id: 1 });
  await other.db.collection<Item>("moved").insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }, { _id: 4 }]);
  const { options, warned } = wholeDatabase(db);
  const collections = ["items", "late", "moved", "view"];
  const first = await whileRunning(db, null, { ...options, collections }, [
    () => db.collection<Item>("late").insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }, { _id: 4 }]),
  ]);
  const to = `${db.databaseName}.moved`;
  const move = () => db.client.db("admin").command({ renameCollection: `${other.db.databaseName}.moved`, to });
  const second = await whileRunning(db, lastPosition(first), { ...options, collections }, [
    move,
    () => db.createCollection("view", { viewOn: "items", pipeline: [] }),
  ]);
  const all = documentChanges([...first, ...second]);
  expect(finalState(all)).toEqual(await contentOf(db, ["items", "late", "moved"]));
  expect(warned()).toEqual(["late", "moved", "view", "moved", "view", "view"]);
  expect([...(lastPosition(second).leftOut?.keys() ?? [])]).toEqual(["view"]);
});

test("changes before a collection became a view are not read through it, however old they are", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("old").insertMany([{ _id: 1 }, { _id: 2 }]);
  const first = await catchUp(db, null);
  await db.collection<Item>("old").updateOne({ _id: 1 }, { $set: { n: 1 } });
  await db.collection("old").rename("new");
  await db.createCollection("old", { viewOn: "new", pipeline: [] });
  // With a horizon beyond now, every change is read as of now.
  const position = { ...lastPosition(first), horizon: await clusterTimeOf(db) };
  const second = await catchUp(db, position);
  const left = documentChanges(second).filter(({ collection }) => collection === "old");
  expect(finalState(left)).toEqual(new Map());
});
