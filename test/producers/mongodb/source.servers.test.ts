import { Decimal128, Long } from "mongodb";
import type { Db } from "mongodb";
import { expect, test } from "vitest";
import type { SourceBatch } from "../../../src/producers/ports.ts";
import { completeTo } from "../../../src/schemas/change-event.ts";
import type { Position } from "../../../src/schemas/change-event.ts";
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

test("a key that changes its BSON type stays one key", async () => {
  const { db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: 7, n: 1 });
  const start = lastPosition(await catchUp(db, null));
  await items.updateOne({ _id: 7 }, { $set: { n: 2 } });
  await items.deleteOne({ _id: 7 });
  await db.collection<{ _id: Decimal128; n: number }>("items").insertOne({ _id: Decimal128.fromString("7.00"), n: 3 });
  const changes = documentChanges(await catchUp(db, start));
  expect(finalState(changes)).toEqual(await contentOf(db, ["items"]));
  expect(changes.at(-1)?.op).not.toBe("d");
});

test("all events of a transaction for one key hold the same document", async () => {
  const { client, db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: "kept" });
  const start = lastPosition(await catchUp(db, null));
  await client.withSession((session) =>
    session.withTransaction(async () => {
      for (const _id of ["made", "gone"]) await items.insertOne({ _id, n: 1 }, { session });
      await items.updateOne({ _id: "made" }, { $set: { n: 2 } }, { session });
      await items.deleteOne({ _id: "gone" }, { session });
      await items.deleteOne({ _id: "kept" }, { session });
      await items.insertOne({ _id: "kept", n: 3 }, { session });
    }),
  );
  const changes = documentChanges(await catchUp(db, start));
  expect(finalState(changes)).toEqual(await contentOf(db, ["items"]));
  const states = new Map<string, Set<string>>();
  for (const change of changes) {
    const id = `${String(change.version)} ${Buffer.from(change.documentKey).toString("hex")}`;
    states.set(id, (states.get(id) ?? new Set()).add(String(finalState([change]).values().next().value)));
  }
  for (const [, contents] of states) expect(contents.size).toBe(1);
});

test("an index build, new collections and views do not end the source", async () => {
  const { db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: 1 });
  const start = lastPosition(await catchUp(db, null));
  await items.updateOne({ _id: 1 }, { $set: { n: 1 } });
  await items.createIndex({ n: 1 });
  await db.createCollection("new");
  await db.command({ create: "view", viewOn: "items", pipeline: [] });
  await db.command({ collMod: "items", validationLevel: "off" });
  expect(finalState(documentChanges(await catchUp(db, start)))).toEqual(await contentOf(db, ["items"]));
});

test("a cursor that the server has killed is opened again", async () => {
  const { db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: 0 });
  let count = 0;
  const batches = await collect(sourceOf(db), null, async ({ events }) => {
    count += events.length;
    if (count === 6) return true;
    if (events.length === 0) return false;
    // The source may be opening its cursor again just now.
    await expect.poll(() => killChangeStreams(db), { timeout: 60_000 }).toBeGreaterThan(0);
    await items.insertOne({ _id: count });
    return false;
  });
  expect(finalState(documentChanges(batches))).toEqual(await contentOf(db, ["items"]));
});

test("an update of a document whose _id the driver cannot send back comes without its document", async () => {
  const { db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: 1 });
  const late = { $add: [new Date(8.64e15), Long.fromNumber(1)] };
  await items.aggregate([{ $set: { _id: late } }, { $merge: "items" }]).toArray();
  const start = lastPosition(await catchUp(db, null));
  await items.updateMany({}, { $set: { n: 1 } });
  const changes = documentChanges(await catchUp(db, start));
  expect(changes.filter(({ document }) => document === null)).toMatchObject([{ op: "u" }]);
  expect(changes.filter(({ document }) => document !== null).length).toBe(1);
});

test("large documents that change together come in steps, and a restart between them loses nothing", async () => {
  const { db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  const text = "x".repeat(5_000_000);
  const ids = [1, 2, 3, 4, 5, 6, 7, 8];
  for (const _id of ids) await items.insertOne({ _id, text });
  const start = lastPosition(await catchUp(db, null));
  await items.updateMany({}, { $set: { n: 1 } });
  const steps = (await catchUp(db, start)).filter(({ events }) => events.length > 0);
  expect(steps.length).toBeGreaterThan(2);
  const [first] = steps;
  await items.updateOne({ _id: 1 }, { $set: { n: 2 } });
  const rest = await catchUp(db, first?.position ?? null);
  const changes = documentChanges([...(first === undefined ? [] : [first]), ...rest]);
  const versions = new Map<string, bigint>();
  for (const { documentKey, version } of changes) {
    const key = Buffer.from(documentKey).toString("hex");
    expect(version).toBeGreaterThanOrEqual(versions.get(key) ?? 0n);
    versions.set(key, version);
  }
  expect(finalState(changes)).toEqual(await contentOf(db, ["items"]));
});

test("without a token it resumes at the position's time", async () => {
  const { db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: 1 });
  const start = lastPosition(await catchUp(db, null));
  await items.insertOne({ _id: 2 });
  const changes = documentChanges(await catchUp(db, { ...start, resumeToken: null }));
  expect(finalState(changes).has('items/{"$numberLong":"2"}')).toBe(true);
});

/** Kills a database's change streams, also waiting ones, and returns how many. */
async function killChangeStreams(db: Db): Promise<number> {
  const cursors = (await db.client
    .db("admin")
    .aggregate(
      [
        { $currentOp: { idleCursors: true } },
        { $match: { "cursor.tailable": true, ns: { $regex: `^${db.databaseName}[.]` } } },
        { $project: { id: "$cursor.cursorId" } },
      ],
      { promoteLongs: false },
    )
    .toArray()) as { id: Long }[];
  await db.command({ killCursors: "$cmd.aggregate", cursors: cursors.map(({ id }) => id) });
  return cursors.length;
}

test("a position tells up to which time everything is published, also inside a transaction and after a restart there", async () => {
  const { client, db } = await freshMongoDatabase();
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: "first" });
  const start = lastPosition(await catchUp(db, null));
  const count = 9_000; // more than two batches of the stream
  await client.withSession((session) =>
    session.withTransaction(() =>
      items.insertMany(
        Array.from({ length: count }, (_, _id) => ({ _id })),
        { session },
      ),
    ),
  );
  let published = 0;
  let time = 0n;
  const inside: Position[] = [];
  const isLast = (batch: SourceBatch): boolean => {
    const changes = documentChanges([batch]);
    published += changes.length;
    time = changes.at(-1)?.version ?? time;
    if (published > 0 && published < count) inside.push(batch.position);
    return published === count && completeTo(batch.position) >= time;
  };
  await collect(sourceOf(db), start, isLast);
  expect(inside.length).toBeGreaterThan(0);
  for (const position of inside) expect(completeTo(position)).toBeLessThan(time);
  const [first] = await collect(sourceOf(db), inside[0] as Position, () => true);
  expect(completeTo((first as SourceBatch).position)).toBeLessThan(time);
});
