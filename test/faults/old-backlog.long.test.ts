// On a separate mongod, because the snapshot window is a setting of the whole server.
import type { Db, Timestamp } from "mongodb";
import { expect, test, vi } from "vitest";
import { versionOf } from "../../src/schemas/change-event.ts";
import { decodeRecord } from "../../src/schemas/decoding/record-decoder.ts";
import { createSchemaRegistry } from "../../src/schemas/registry/registry.ts";
import { topicOf } from "../../src/schemas/topics.ts";
import { readTopic } from "../producers/kafka/pipeline-topics.ts";
import { useOwnMongodb } from "../support/own-mongodb.ts";
import { freshPipeline } from "../support/pipeline.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import { servers, uniqueName } from "../support/servers.ts";
import { killAt } from "./kill-at.ts";

interface Item {
  _id: number;
  n: number;
}

const KEYS = 50_000;
const ROUNDS = 10;
const KILLS = 6;
const MINUTES = 60_000;

const mongodb = useOwnMongodb({});

test(
  "copies a backlog of 500,000 changes that is older than the snapshot window, in order, while producers are killed",
  async () => {
    const random = seededRandom(printedSeed());
    const database = uniqueName("backlog");
    const db = mongodb.client.db(database);
    const pipeline = await freshPipeline({
      mongodb: { uri: mongodb.uri, database },
      collections: { items: {} },
    });
    const items = Array.from({ length: KEYS }, (_, _id): Item => ({ _id, n: 0 }));
    await db.collection<Item>("items").insertMany(items);
    expect(await pipeline.run("run", "--once")).toMatchObject({ exitCode: 0 });

    const before = await clusterTime(db);
    const changes = await makeBacklog(db);
    const { t, i } = await clusterTime(db);
    const end = versionOf(t, i);
    await makeUnreadable(db, before);
    expect(changes).toBeGreaterThanOrEqual(500_000);

    const topic = topicOf(pipeline.name, database, "items");
    const counts = Array.from({ length: KILLS }, (_, kill) => KEYS * (1 + (kill + random()) / 2));
    await killAt(pipeline, topic, counts);
    pipeline.start("run");
    // Waits until everything is applied.
    const { exitCode, stdout, stderr } = await pipeline.run("verify", "--wait", "600");
    expect(exitCode, stdout + stderr).toBe(0);
    const { versions, fallen } = await orderIn(topic);
    // Their version is later than the last change.
    const resolved = versions.filter((version) => version > end).length;
    process.stderr.write(`${changes} changes, ${versions.length} records in Kafka, ${resolved} resolved\n${stdout}\n`);
    expect(fallen).toEqual([]);
    expect(resolved).toBeGreaterThan(KEYS);
  },
  30 * MINUTES,
);

/** Changes each key repeatedly, deletes some and inserts some of these again. Resolves to the number of changes. */
async function makeBacklog(db: Db): Promise<number> {
  const items = db.collection<Item>("items");
  let changes = 0;
  for (let round = 1; round <= ROUNDS + 1; round++) {
    changes += (await items.updateMany({}, { $inc: { n: 1 } })).modifiedCount;
    const some = { _id: { $gte: round * 1_000, $lt: round * 1_000 + 500 } };
    changes += (await items.deleteMany(some)).deletedCount;
    const back = Array.from({ length: 250 }, (_, n): Item => ({ _id: round * 1_000 + n, n: -round }));
    changes += (await items.insertMany(back)).insertedCount;
  }
  return changes;
}

async function clusterTime(db: Db): Promise<Timestamp> {
  const { operationTime } = (await db.command({ ping: 1 })) as unknown as { operationTime: Timestamp };
  return operationTime;
}

/** Makes reads at this time impossible. */
async function makeUnreadable(db: Db, atClusterTime: Timestamp): Promise<void> {
  const setWindow = (seconds: number) =>
    mongodb.client.db("admin").command({ setParameter: 1, minSnapshotHistoryWindowInSeconds: seconds });
  await setWindow(0);
  await vi.waitFor(
    async () => {
      await db.collection<Item>("other").updateOne({ _id: 1 }, { $inc: { n: 1 } }, { upsert: true });
      const read = db.command({ find: "items", limit: 1, readConcern: { level: "snapshot", atClusterTime } });
      await expect(read).rejects.toMatchObject({ code: 239 });
    },
    { timeout: MINUTES, interval: 50 },
  );
  // From now on, the server keeps its snapshots again.
  await setWindow(300);
}

/** The versions of a topic's records, and those that are lower than an earlier one of the same key. */
async function orderIn(topic: string): Promise<{ versions: bigint[]; fallen: string[] }> {
  const registry = createSchemaRegistry({ url: servers().schemaRegistryUrl });
  const newest = new Map<string, bigint>();
  const fallen: string[] = [];
  const versions: bigint[] = [];
  for (const { partition, key, value } of await readTopic(topic)) {
    const change = await decodeRecord(registry, key, value);
    if (change === null) continue;
    versions.push(change.version);
    const id = `${partition}/${change.key}`;
    if (change.version < (newest.get(id) ?? 0n)) fallen.push(`${id}: ${change.version} after ${newest.get(id)}`);
    newest.set(id, change.version);
  }
  return { versions, fallen };
}
