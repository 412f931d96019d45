// On a replica set of its own, with three members that hold elections.
import { MongoClient } from "mongodb";
import type { Collection, Db } from "mongodb";
import { expect, onTestFinished, test, vi } from "vitest";
import { THREE_MEMBERS } from "../../../dev/stack/server-settings.ts";
import type { Change } from "../../../src/schemas/row-schema.ts";
import { useOwnMongodb } from "../../support/own-mongodb.ts";
import { uniqueName } from "../../support/servers.ts";
import { ProducerUnderTest, documentsOf, duplicatesOf, tableOf } from "../producer-under-test.ts";
import type { Item } from "./source-collector.ts";

const mongodb = useOwnMongodb(THREE_MEMBERS);
const WAIT = { timeout: 120_000, interval: 100 };
const KEYS = 20;

interface Running {
  readonly db: Db;
  readonly items: Collection<Item>;
  readonly producer: ProducerUnderTest;
  /** Ends it, and returns the topic's changes once they match the collection. */
  readonly finish: () => Promise<readonly Change[]>;
}

/** Starts a producer and waits until it works. */
async function startProducer(): Promise<Running> {
  const { client, uri } = mongodb;
  const db = client.db(uniqueName("test"));
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: "first" });
  const producer = new ProducerUnderTest({ client, db });
  const options = { mongodb: { uri, database: db.databaseName } };
  const published = vi.fn();
  const running = producer.start({ ...options, observer: { published } });
  await vi.waitFor(() => expect(published).toHaveBeenCalled(), WAIT);
  const finish = async (): Promise<readonly Change[]> => {
    await running.stop();
    await vi.waitFor(() => producer.runOnce(options), WAIT);
    return await producer.changes("items");
  };
  return { db, items, producer, finish };
}

/** Increments counters in documents until it is stopped, and retries while there is no primary. */
function keepWriting(items: Collection<Item>): { written: () => number; stop: () => Promise<void> } {
  let isOver = false;
  let count = 0;
  const writing = (async () => {
    for (let step = 0; !isOver; step++) {
      const _id = `key ${step % KEYS}`;
      const write =
        step % 7 === 0 ? items.deleteOne({ _id }) : items.updateOne({ _id }, { $set: { step } }, { upsert: true });
      await write.then(
        () => count++,
        () => undefined,
      );
    }
  })();
  return {
    written: () => count,
    stop: async () => {
      isOver = true;
      await writing;
    },
  };
}

async function expectEqualAndInOrder({ db }: Running, changes: readonly Change[]): Promise<void> {
  expect(tableOf(changes)).toEqual(await documentsOf(db, "items"));
  expect(duplicatesOf(changes)).toEqual([]);
  const versions = new Map<string, bigint>();
  for (const { key, version } of changes) {
    expect(version).toBeGreaterThanOrEqual(versions.get(key) ?? 0n);
    versions.set(key, version);
  }
}

const faults: readonly (readonly [string, () => Promise<unknown>])[] = [
  ["steps down", () => mongodb.client.db("admin").command({ replSetStepDown: 5, force: true })],
  ["crashes and comes back", () => mongodb.restart()],
];
test.each(faults)(
  "a primary that %s under writes: topics are complete and versions never fall",
  { timeout: 300_000 },
  async (_, fault) => {
    const running = await startProducer();
    const writer = keepWriting(running.items);
    const moreWritten = (count: number) => {
      const goal = writer.written() + count;
      return vi.waitFor(() => expect(writer.written()).toBeGreaterThan(goal), WAIT);
    };
    for (let elections = 0; elections < 2; elections++) {
      await moreWritten(100);
      await fault();
      await moreWritten(100);
    }
    await writer.stop();
    await expectEqualAndInOrder(running, await running.finish());
  },
);

test("a write that is rolled back because no majority had it is never published", { timeout: 300_000 }, async () => {
  const running = await startProducer();
  const { items } = running;
  const members = await connectMembers();
  const [primary, ...secondaries] = members;
  for (const _id of ["changed", "deleted"]) await items.insertOne({ _id, is: "kept" }, { writeConcern: { w: 3 } });

  for (const secondary of secondaries) await stopReplication(secondary);
  const onPrimary = primary!.db(items.dbName).collection<Item>("items");
  const alone = { writeConcern: { w: 1 } };
  await onPrimary.insertOne({ _id: "made", is: "lost" }, alone);
  await onPrimary.updateOne({ _id: "changed" }, { $set: { is: "lost" } }, alone);
  await onPrimary.deleteOne({ _id: "deleted" }, alone);
  const lost = await onPrimary.find().toArray();
  expect(lost.filter(({ is }) => is === "lost").length).toBe(2);

  const admin = (member: MongoClient) => member.db("admin");
  await admin(primary!).command({ replSetStepDown: 60, secondaryCatchUpPeriodSecs: 0, force: true });
  const next = secondaries[0]!;
  await vi.waitFor(() => admin(next).command({ replSetStepUp: 1 }), WAIT);
  await vi.waitFor(async () => {
    await admin(next)
      .command({ replSetAbortPrimaryCatchUp: 1 })
      .catch(() => undefined);
    expect(await admin(next).command({ hello: 1 })).toMatchObject({ isWritablePrimary: true });
  }, WAIT);
  for (const secondary of secondaries) await resumeReplication(secondary);
  await vi.waitFor(() => items.insertOne({ _id: "after", is: "kept" }, { writeConcern: { w: 3 } }), WAIT);
  const rolledBack = primary!.db(items.dbName).collection<Item>("items", { readPreference: "secondaryPreferred" });
  expect(await rolledBack.findOne({ _id: "made" })).toBeNull();

  const changes = await running.finish();
  await expectEqualAndInOrder(running, changes);
  expect(changes.filter(({ cells }) => cells?.includes("lost") === true)).toEqual([]);
  expect(changes.filter(({ op }) => op === "d")).toEqual([]);
  expect([...tableOf(changes).keys()].toSorted()).toEqual(["after", "changed", "deleted", "first"]);
});

/** A connection to each member, the primary first. */
async function connectMembers(): Promise<readonly MongoClient[]> {
  const { hosts, primary } = (await mongodb.client.db("admin").command({ hello: 1 })) as {
    hosts: string[];
    primary: string;
  };
  const inOrder = [primary, ...hosts.filter((host) => host !== primary)];
  const members = inOrder.map((host) => new MongoClient(`mongodb://${host}/?directConnection=true`));
  onTestFinished(async () => {
    for (const member of members) await member.close();
  });
  return members;
}

/** Resolves once the member no longer copies from the others. */
async function stopReplication(member: MongoClient): Promise<void> {
  const admin = member.db("admin");
  const before = await admin.command({ configureFailPoint: "stopReplProducer", mode: "alwaysOn" });
  const timesEntered = Number(before["count"]) + 1;
  await admin.command({ waitForFailPoint: "stopReplProducer", timesEntered, maxTimeMS: 60_000 });
}

async function resumeReplication(member: MongoClient): Promise<void> {
  await member.db("admin").command({ configureFailPoint: "stopReplProducer", mode: "off" });
}
