import { MongoClient } from "mongodb";
import type { CommandStartedEvent } from "mongodb";
import { expect, onTestFinished, test } from "vitest";
import { SAMPLE_LIMITS, sampleDatabase } from "../../src/operations/sample-database.ts";
import type { SampleLimits } from "../../src/operations/sample-database.ts";
import { freshMongoDatabase, uniqueName } from "../support/servers.ts";

async function client(uri: string, options: object = {}): Promise<MongoClient> {
  const connected = await MongoClient.connect(uri, options);
  onTestFinished(() => connected.close());
  return connected;
}

function optionsWith(limits: Partial<SampleLimits> = {}) {
  return {
    pipeline: "shop",
    established: [],
    limits: { ...SAMPLE_LIMITS, ...limits },
    signal: new AbortController().signal,
  };
}

test("collections that cannot be replicated are named with the reason; long names are no reason", async () => {
  const { db } = await freshMongoDatabase();
  const long = "a".repeat(80);
  await db.collection("plain").insertOne({ a: 1 });
  await db.collection("*").insertOne({ a: 1 });
  await db.collection(long).insertOne({ a: 1 });
  await db.createCollection("log", { capped: true, size: 4096 });
  await db.createCollection("seen", { viewOn: "plain", pipeline: [] });
  await db.createCollection("weather", { timeseries: { timeField: "at" } });
  const { collections, leftOut } = await sampleDatabase(db, optionsWith());
  expect(collections.map(({ name }) => name).toSorted()).toEqual([long, "plain"]);
  expect(Object.fromEntries(leftOut)).toEqual({
    "*": 'in the config, "*" stands for all collections that are not named',
    log: expect.stringContaining("capped"),
    seen: "it is a view",
    weather: "it is a time-series collection",
  });
});

test("the sample is read from secondaries, with limits of documents and time", async () => {
  const { db, uri, name } = await freshMongoDatabase();
  await db.collection("c").insertMany(Array.from({ length: 50 }, (_, n) => ({ n })));
  const watched = await client(uri, { monitorCommands: true });
  const commands: CommandStartedEvent[] = [];
  watched.on("commandStarted", (event) => commands.push(event));
  const { collections } = await sampleDatabase(watched.db(name), optionsWith({ documents: 20, timeMs: 7_000 }));
  expect(collections).toMatchObject([{ name: "c", isRandom: true, unreadable: 0, summary: { documents: 20 } }]);
  const read = commands.find(({ commandName }) => commandName === "aggregate");
  expect(read?.command).toMatchObject({ maxTimeMS: 7_000, $readPreference: { mode: "secondaryPreferred" } });
});

test("huge documents end the sample early", async () => {
  const { db } = await freshMongoDatabase();
  const text = "x".repeat(1024 * 1024);
  await db.collection("c").insertMany(Array.from({ length: 12 }, () => ({ text })));
  const { collections } = await sampleDatabase(db, optionsWith({ bytes: 5 * 1024 * 1024 }));
  expect(collections[0]?.summary.documents).toBe(5);
});

test("where a random sample takes too long, the first and the last documents are read", async () => {
  const { db, uri, name, client: admin } = await freshMongoDatabase();
  await db.collection<{ _id: number }>("c").insertMany(Array.from({ length: 50 }, (_, n) => ({ _id: n })));
  const appName = uniqueName("slow");
  const failPoint = {
    configureFailPoint: "failCommand",
    data: { failCommands: ["aggregate"], errorCode: 50, appName },
  };
  await admin.db("admin").command({ ...failPoint, mode: "alwaysOn" });
  onTestFinished(async () => {
    await admin.db("admin").command({ ...failPoint, mode: "off" });
  });
  const slow = await client(uri, { appName });
  const ids: number[] = [];
  const onDocument = (_name: string, document: Buffer): number => ids.push(document.readInt32LE(9));
  const { collections } = await sampleDatabase(slow.db(name), { ...optionsWith({ documents: 6 }), onDocument });
  expect(collections).toMatchObject([{ name: "c", isRandom: false }]);
  expect(ids).toEqual([0, 1, 2, 49, 48, 47]);
});

test("where every read takes too long, the error says so", async () => {
  const { db, uri, name, client: admin } = await freshMongoDatabase();
  await db.collection("c").insertOne({ a: 1 });
  const appName = uniqueName("slow");
  const data = { failCommands: ["aggregate", "find"], errorCode: 50, appName };
  await admin.db("admin").command({ configureFailPoint: "failCommand", data, mode: "alwaysOn" });
  onTestFinished(async () => {
    await admin.db("admin").command({ configureFailPoint: "failCommand", data, mode: "off" });
  });
  const slow = await client(uri, { appName });
  await expect(sampleDatabase(slow.db(name), optionsWith())).rejects.toMatchObject({
    code: "MONGODB_UNAVAILABLE",
    message: expect.stringContaining('collection "c"'),
  });
});
