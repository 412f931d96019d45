// Events that are larger than MongoDB can send: an event has the `_id` four times and the document.
import { BSON, Binary } from "mongodb";
import type { Db } from "mongodb";
import { expect, test } from "vitest";
import type { SourceBatch } from "../../../src/producers/ports.ts";
import { freshMongoDatabase } from "../../support/servers.ts";
import {
  catchUp,
  collect,
  contentOf,
  documentChanges,
  extendedJsonOf,
  finalState,
  keyOfChange,
  lastPosition,
  sourceOf,
} from "./source-collector.ts";
import type { DocumentChange, Item } from "./source-collector.ts";

interface LargeItem extends Item {
  _id: string;
}

const MOST_BYTES = 16 * 1024 * 1024;
/** Together with a document of 16 MB this is too much for an event. */
const LONG_ID_LENGTH = 8_000;

function longId(name: string): string {
  return name.padEnd(LONG_ID_LENGTH, ".");
}

/** A document of the largest size that MongoDB accepts. */
function largest(_id: string, fields: Record<string, unknown> = {}): LargeItem {
  const withoutBytes = { _id, ...fields, bytes: new Binary(Buffer.alloc(0)) };
  const size = MOST_BYTES - BSON.calculateObjectSize(withoutBytes);
  return { ...withoutBytes, bytes: new Binary(Buffer.alloc(size, 1)) };
}

/** An update's oplog entry holds its fields and the key, and has the same limit as a document. */
function largeBytes(): Binary {
  return new Binary(Buffer.alloc(MOST_BYTES - 2 * LONG_ID_LENGTH, 2));
}

function changesOf(batches: readonly SourceBatch[], name: string): DocumentChange[] {
  return documentChanges(batches).filter((change) => keyOfChange(change).includes(`"${longId(name)}"`));
}

async function expectEqual(db: Db, batches: readonly SourceBatch[]): Promise<void> {
  expect(finalState(documentChanges(batches))).toEqual(await contentOf(db, ["items"]));
}

test("inserts, replaces and updates with events of more than 16 MB are published", async () => {
  const { db } = await freshMongoDatabase();
  const items = await db.createCollection<LargeItem>("items");
  const a = longId("a");
  const start = lastPosition(await catchUp(db, null));
  const writes: (() => Promise<unknown>)[] = [
    () => items.insertOne(largest(a)),
    () => items.replaceOne({ _id: a }, largest(a, { replaced: 1 })),
    () => items.insertOne({ _id: longId("b") }),
    () => items.updateOne({ _id: longId("b") }, { $set: { bytes: largeBytes() } }),
    () => items.deleteOne({ _id: a }),
    () => items.insertOne({ _id: "array", list: Array.from({ length: 900_000 }, (_, index) => index) }),
    () => items.updateOne({ _id: "array" }, [{ $set: { list: { $concatArrays: [[-1], "$list"] } } }]),
  ];
  const batches: SourceBatch[] = [];
  for (const write of writes) {
    await write();
    batches.push(...(await catchUp(db, batches.at(-1)?.position ?? start)));
    await expectEqual(db, batches);
  }
});

test("a stream passes such an event between others and loses none", async () => {
  const { db } = await freshMongoDatabase();
  const items = db.collection<LargeItem>("items");
  let written = 0;
  const expected = new Map<string, string>();
  const batches = await collect(sourceOf(db), null, async (batch) => {
    const isSeen = batch.events.length > 0 || written === 0;
    if (!isSeen) return false;
    if (written === 4) return true;
    const documents: LargeItem[] = [
      { _id: `before ${written}` },
      largest(longId(`large ${written}`)),
      { _id: `after ${written}` },
    ];
    for (const document of documents) {
      await items.insertOne(document);
      expected.set(document._id, extendedJsonOf(document));
    }
    written++;
    return false;
  });
  const rest = await catchUp(db, lastPosition(batches));
  await expectEqual(db, [...batches, ...rest]);
  expect(expected.size).toBe(12);
  expect([...finalState(documentChanges([...batches, ...rest])).values()].sort()).toEqual(
    [...expected.values()].sort(),
  );
});

test("many such events come in several steps, and a restart between them loses nothing", async () => {
  const { db } = await freshMongoDatabase();
  const items = await db.createCollection<LargeItem>("items");
  const start = lastPosition(await catchUp(db, null));
  const names = ["a", "b", "c", "d", "e"];
  for (const name of names) await items.insertOne(largest(longId(name)));
  const steps = (await catchUp(db, start)).filter(({ events }) => events.length > 0);
  expect(steps.length).toBeGreaterThan(2);
  for (const name of names) expect(changesOf(steps, name)).toHaveLength(1);
  const [first] = steps;
  if (first === undefined) throw new Error("there is no step");
  await items.replaceOne({ _id: longId("a") }, largest(longId("a"), { replaced: 1 }));
  await expectEqual(db, [first, ...(await catchUp(db, first.position))]);
});

test("an event that MongoDB cannot deliver at all stops the source; leaving its collection out is the remedy", async () => {
  const { db } = await freshMongoDatabase();
  await db.createCollection("items");
  const collections = ["items", "huge"];
  await db.createCollection("huge");
  const start = lastPosition(await catchUp(db, null, { collections }));
  await db.collection<Item>("huge").insertOne({ _id: "x".repeat(6_000_000) });
  await db.collection<LargeItem>("items").insertOne({ _id: "a" });
  await expect(catchUp(db, start, { collections })).rejects.toMatchObject({ code: "EVENT_TOO_LARGE", kind: "fatal" });
  await expectEqual(db, await catchUp(db, start, { collections: ["items"] }));
});
