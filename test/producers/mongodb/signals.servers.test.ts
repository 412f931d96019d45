import { Decimal128, Double, ObjectId } from "mongodb";
import type { Db } from "mongodb";
import { expect, test } from "vitest";
import type { SourceBatch } from "../../../src/producers/ports.ts";
import type { Position } from "../../../src/schemas/change-event.ts";
import { signalIdOf } from "../../../src/schemas/signal.ts";
import type { Signal } from "../../../src/schemas/signal.ts";
import { freshMongoDatabase } from "../../support/servers.ts";
import {
  catchUp,
  clusterTimeOf,
  collect,
  contentOf,
  documentChanges,
  finalState,
  keyOfChange,
  lastPosition,
  signalsOf,
  sourceOf,
} from "./source-collector.ts";
import type { Item } from "./source-collector.ts";

/** A database of numbered documents, replicated up to now. */
async function replicated(count: number): Promise<{ db: Db; position: Position }> {
  const { db } = await freshMongoDatabase();
  const items = Array.from({ length: count }, (_, _id) => ({ _id, odd: _id % 2 === 1 }));
  await db.collection<Item>("items").insertMany(items);
  return { db, position: lastPosition(await catchUp(db, null)) };
}

function publishedKeys(batches: readonly SourceBatch[]): string[] {
  return documentChanges(batches).map((change) => `${change.op} ${keyOfChange(change)}`);
}

const long = (key: number): string => `items/{"$numberLong":"${key}"}`;

test("reads a filter's documents again, and resumes at its last chunk", async () => {
  const { db, position } = await replicated(20);
  const signals = signalsOf([{ type: "snapshot", collection: "items", filter: '{"odd":true}' }]);
  const batches = await catchUp(db, position, { signals });
  const expected = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19].map((key) => `r ${long(key)}`);
  expect(publishedKeys(batches)).toEqual(expected);
  expect(lastPosition(batches).signals).toEqual({ offset: 1n, after: null });
  for (const [index, batch] of batches.entries()) {
    const rest = await catchUp(db, batch.position, { signals });
    expect(publishedKeys([...batches.slice(0, index + 1), ...rest])).toEqual(expected);
  }
});

test("a filter that finds little examines a limited part of the collection at a time", async () => {
  const { db } = await freshMongoDatabase();
  const items = Array.from({ length: 50_000 }, (_, _id) => ({ _id: _id % 3 === 0 ? _id : `${_id}`, n: _id }));
  await db.collection<Item>("items").insertMany(items);
  const position = lastPosition(await catchUp(db, null, { chunkDocuments: 20_000 }));
  const signals = signalsOf([{ type: "snapshot", collection: "items", filter: '{"n":{"$gte":49998}}' }]);
  const batches = await catchUp(db, position, { signals });
  expect(publishedKeys(batches)).toEqual([`r ${long(49_998)}`, 'r items/"49999"']);
  expect(new Set(batches.map((batch) => batch.position.signals.after)).size).toBe(3);
});

test("an id is found by MongoDB's equality, and an id without a document is deleted", async () => {
  const { db } = await freshMongoDatabase();
  const objectId = new ObjectId();
  const present = [new Double(7), Decimal128.fromString("8.50"), "text", objectId, { b: 1, a: "x" }];
  await db.collection<{ _id: unknown }>("items").insertMany(present.map((_id) => ({ _id })));
  const position = lastPosition(await catchUp(db, null));
  const texts = [
    "7",
    "8.5",
    '"text"',
    `{"$oid":"${objectId.toHexString()}"}`,
    '{"b":1,"a":"x"}',
    '{"a":"x","b":1}',
    "9",
  ];
  const ids = texts.map((text) => ({ id: signalIdOf(text) }));
  const batches = await catchUp(db, position, { signals: signalsOf([{ type: "snapshot", collection: "items", ids }]) });
  const changes = documentChanges(batches);
  expect(changes.filter(({ op }) => op === "r").length).toBe(5);
  expect(publishedKeys(batches).filter((text) => text.startsWith("d"))).toEqual([
    'd items/{"a":"x","b":{"$numberLong":"1"}}',
    `d ${long(9)}`,
  ]);
  expect(finalState(changes)).toEqual(await contentOf(db, ["items"]));
});

test("ids are read in parts, each with its position; parts of large documents are smaller", async () => {
  const { db, position } = await replicated(600);
  const text = "x".repeat(6_000_000);
  for (const _id of [0, 1, 2, 3, 4]) await db.collection<Item>("items").updateOne({ _id }, { $set: { text } });
  const ids = Array.from({ length: 600 }, (_, key) => ({ id: signalIdOf(String(key)) }));
  const signals = signalsOf([{ type: "snapshot", collection: "items", ids }]);
  const batches = await catchUp(db, position, { signals });
  const reads = documentChanges(batches).filter(({ op }) => op === "r");
  expect(reads.length).toBe(600);
  const middle = batches.findIndex((batch) => batch.position.signals.after !== null);
  const rest = await catchUp(db, batches[middle]!.position, { signals });
  const all = documentChanges([...batches.slice(0, middle + 1), ...rest]).filter(({ op }) => op === "r");
  expect(all.length).toBe(600);
  expect(new Set(all.map(keyOfChange)).size).toBe(600);
});

test("ids of a collection that does not exist are deleted", async () => {
  const { db, position } = await replicated(2);
  await db.collection("items").drop();
  const dropped = lastPosition(await catchUp(db, position));
  const signals = signalsOf([{ type: "snapshot", collection: "items", ids: [{ id: signalIdOf("1") }] }]);
  expect(publishedKeys(await catchUp(db, dropped, { signals, collections: ["items"] }))).toEqual([`d ${long(1)}`]);
});

test("a resync reads the whole collection again and then truncates below the time of its signal", async () => {
  const { db, position } = await replicated(10);
  const batches = await catchUp(db, position, { signals: signalsOf([{ type: "resync", collection: "items" }]) });
  expect(documentChanges(batches).length).toBe(10);
  const last = batches.flatMap(({ events }) => events).at(-1);
  expect(last).toMatchObject({ op: "t", collection: "items" });
  expect(last!.version).toBeGreaterThanOrEqual(position.clusterTime);
  for (const { version } of documentChanges(batches)) expect(version).toBeGreaterThanOrEqual(last!.version);
});

test("signals are carried out in order; invalid ones and those of other collections are skipped", async () => {
  const { db, position } = await replicated(3);
  const signals: (Signal | null)[] = [
    null,
    { type: "resync", collection: "other" },
    { type: "snapshot", collection: "items", filter: '{"$near":1}' },
    { type: "snapshot", collection: "items", filter: '{"$expr":{"$divide":[1,"$_id"]}}' },
    { type: "snapshot", collection: "items", ids: [{ id: signalIdOf("2") }] },
    { type: "snapshot", collection: "items", ids: [{ id: signalIdOf("1") }] },
  ];
  const batches = await catchUp(db, position, { signals: signalsOf(signals) });
  expect(publishedKeys(batches)).toEqual([`r ${long(2)}`, `r ${long(1)}`]);
  expect(lastPosition(batches).signals).toEqual({ offset: 6n, after: null });
});

test("a signal that arrives while the source runs is carried out, also in the middle of a snapshot", async () => {
  const { db } = await freshMongoDatabase();
  await db.collection<Item>("big").insertMany(Array.from({ length: 200 }, (_, _id) => ({ _id })));
  await db.collection<Item>("items").insertMany([{ _id: 1 }, { _id: 2 }]);
  const signals: Signal[] = [];
  const source = sourceOf(db, { signals: signalsOf(signals), until: await clusterTimeOf(db) });
  const batches = await collect(source, null, ({ position, events }) => {
    if (signals.length === 0 && events.length > 0) {
      signals.push({ type: "snapshot", collection: "big", ids: [{ id: signalIdOf("199") }] });
    }
    return position.signals.offset === 1n;
  });
  expect(lastPosition(batches).snapshots.get("big")).toMatchObject({ state: "running" });
  expect(documentChanges(batches).at(-1)).toMatchObject({ collection: "big", op: "r" });
});

test("mode only carries out signals, too", async () => {
  const { db, position } = await replicated(1);
  const signals = signalsOf([{ type: "snapshot", collection: "items", ids: [{ id: signalIdOf("5") }] }]);
  const batches = await collect(sourceOf(db, { snapshotMode: "only", signals }), position);
  expect(publishedKeys(batches).sort()).toEqual([`d ${long(5)}`, `r ${long(0)}`]);
});
