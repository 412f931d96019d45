// On a mongod of its own: its settings would disturb other tests.
import { Timestamp } from "mongodb";
import type { Db } from "mongodb";
import { expect, test, vi } from "vitest";
import type { SourceBatch } from "../../../src/producers/ports.ts";
import type { Version } from "../../../src/schemas/change-event.ts";
import { ModelWriter } from "../../support/model-writer.ts";
import { useOwnMongodb } from "../../support/own-mongodb.ts";
import { printedSeed, seededRandom } from "../../support/random.ts";
import { uniqueName } from "../../support/servers.ts";
import { ProducerUnderTest, documentsOf, duplicatesOf, tableOf } from "../producer-under-test.ts";
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
import type { Item } from "./source-collector.ts";

interface Counter {
  _id: number;
  n: number;
}

const mongodb = useOwnMongodb({});

test("an old backlog is resolved: exact documents, never an older one, also after a restart", async () => {
  const db = mongodb.client.db(uniqueName("test"));
  const writer = await modelWriter(db);
  // Enough events for several batches.
  await db.collection<Item>("bulk").insertMany(Array.from({ length: 5_000 }, (_, _id) => ({ _id })));
  const start = lastPosition(await catchUp(db, null, { snapshotMode: "never" }));
  await writeSome(writer, 100);
  await db.collection("bulk").updateMany({}, { $set: { n: 1 } });
  await writeSome(writer, 100);
  await makeUnreadable(db, start.clusterTime);

  const isResolving = ({ position }: SourceBatch) => position.horizon > position.clusterTime;
  const first = await collect(sourceOf(db, { snapshotMode: "never" }), start, isResolving);
  await writeSome(writer, 50);
  const writing = writeSome(writer, 200);
  const rest = await catchUp(db, lastPosition(first), { snapshotMode: "never" });
  await writing;
  const last = await catchUp(db, lastPosition(rest), { snapshotMode: "never" });
  const batches = [...first, ...rest, ...last];

  expect(batches.filter(isResolving).length).toBeGreaterThan(0);
  expect(isResolving(batches.at(-1)!)).toBe(false);
  const changes = documentChanges(batches);
  expect(finalState(changes)).toEqual(await contentOf(db, ["model", "bulk", "other"]));
  const versions = new Map<string, Version>();
  for (const change of changes) {
    const key = keyOfChange(change);
    expect(change.version).toBeGreaterThanOrEqual(versions.get(key) ?? 0n);
    versions.set(key, change.version);
    if (change.collection !== "model") continue;
    const _id = JSON.parse(key.slice("model/".length)) as string;
    const fields = writer.history.fieldsAt("model", _id, change.version);
    expect(finalState([change]).get(key)).toBe(fields === null ? undefined : extendedJsonOf({ _id, ...fields }));
  }
});

test.each([false, true])(
  "changes of a collection that no longer exists become deletes (created again: %s)",
  async (isMadeAgain) => {
    const db = mongodb.client.db(uniqueName("test"));
    // More than a batch: the drop comes in the next one.
    const ids = Array.from({ length: 4_001 }, (_, _id) => ({ _id }));
    await db.collection<Item>("items").insertMany(ids);
    const start = lastPosition(await catchUp(db, null, { snapshotMode: "never" }));
    await db.collection("items").updateMany({}, { $set: { n: 1 } });
    await db.collection("items").drop();
    if (isMadeAgain) await db.createCollection("items");
    const seen: SourceBatch[] = [];
    const reading = collect(
      sourceOf(db, { snapshotMode: "never", onDrop: "fail" }),
      start,
      (batch) => seen.push(batch) === 0,
    );
    await expect(reading).rejects.toMatchObject({ code: "COLLECTION_DROPPED" });
    const changes = documentChanges(seen);
    expect(changes.length).toBe(4_000);
    expect(finalState(changes).size).toBe(0);
  },
);

test("it resumes by itself when the primary steps down", async () => {
  const db = mongodb.client.db(uniqueName("test"));
  const writer = await modelWriter(db);
  const producer = new ProducerUnderTest({ client: mongodb.client, db });
  const source = { uri: mongodb.uri, database: db.databaseName };
  await writeSome(writer, 50);
  const published = vi.fn();
  const running = producer.start({ mongodb: source, observer: { published } });
  await vi.waitFor(() => expect(published).toHaveBeenCalled(), 30_000);
  for (let elections = 0; elections < 2; elections++) {
    await mongodb.client.db("admin").command({ replSetStepDown: 1, force: true });
    await vi.waitFor(() => writeSome(writer, 1), { timeout: 60_000, interval: 100 });
    await writeSome(writer, 50);
  }
  await running.stop();
  await producer.runOnce({ mongodb: source });
  const changes = await producer.changes("model");
  expect(tableOf(changes)).toEqual(await documentsOf(db, "model"));
  expect(duplicatesOf(changes)).toEqual([]);
});

async function modelWriter(db: Db): Promise<ModelWriter> {
  await db.createCollection("model");
  return new ModelWriter({
    client: mongodb.client,
    db,
    random: seededRandom(printedSeed()),
    collections: ["model"],
    keys: 20,
  });
}

async function writeSome(writer: ModelWriter, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await writer.step();
}

/** Makes the server unable to read any time up to now. */
async function makeUnreadable(db: Db, version: Version): Promise<void> {
  const setWindow = (seconds: number) =>
    mongodb.client.db("admin").command({ setParameter: 1, minSnapshotHistoryWindowInSeconds: seconds });
  const atClusterTime = new Timestamp({ t: Number(version >> 32n), i: Number(version & 0xffff_ffffn) });
  const read = () => db.command({ find: "model", readConcern: { level: "snapshot", atClusterTime } });
  await setWindow(0);
  await vi.waitFor(
    async () => {
      await db.collection<Counter>("other").updateOne({ _id: 1 }, { $inc: { n: 1 } }, { upsert: true });
      await expect(read()).rejects.toMatchObject({ code: 239 });
    },
    { timeout: 30_000, interval: 50 },
  );
  await setWindow(300);
}
