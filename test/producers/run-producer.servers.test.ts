import { expect, test, vi } from "vitest";
import { HeadraceError } from "../../src/errors/error.ts";
import { parseDeadLetter } from "../../src/schemas/dead-letter.ts";
import { cellTexts } from "../../src/schemas/decoding/cells.ts";
import { parseColumnType } from "../../src/schemas/mapping/column-type.ts";
import type { CollectionMapping } from "../../src/schemas/mapping/mapping.ts";
import type { SchemaRegistry } from "../../src/schemas/registry/registry.ts";
import { deadLetterTopic, positionsTopic, topicOf } from "../../src/schemas/topics.ts";
import { ModelWriter } from "../support/model-writer.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import { readTopic, testKafka } from "./kafka/pipeline-topics.ts";
import { ProducerUnderTest, documentsOf, duplicatesOf, onlyThese, tableOf } from "./producer-under-test.ts";

interface Item {
  _id: string | number;
  [field: string]: unknown;
}

function documentMode(collection: string): CollectionMapping {
  return { collection, mode: "document", columns: [], children: [], idType: undefined };
}

async function modelWriter({ client, db }: ProducerUnderTest, collections: readonly string[]): Promise<ModelWriter> {
  for (const name of collections) await db.createCollection(name);
  return new ModelWriter({ client, db, random: seededRandom(printedSeed()), collections, keys: 50 });
}

test("the topics match the collections, however often the producer is restarted", async () => {
  const producer = await ProducerUnderTest.create();
  const collections = ["one", "two"];
  const writer = await modelWriter(producer, collections);
  for (let i = 0; i < 300; i++) await writer.step();
  for (let starts = 0; starts < 5; starts++) {
    const running = producer.start({ snapshot: { mode: "initial", chunkDocuments: 5 } });
    for (let i = 0; i < 150; i++) await writer.step();
    await running.stop();
    for (let i = 0; i < 20; i++) await writer.step();
  }
  await producer.runOnce();
  for (const collection of collections) {
    const changes = await producer.changes(collection);
    expect(tableOf(changes)).toEqual(await documentsOf(producer.db, collection));
    expect(duplicatesOf(changes)).toEqual([]);
    for (const { key, version, cells } of changes) {
      const fields = writer.history.fieldsAt(collection, key, version);
      expect(cells === null ? null : JSON.parse(String(cellTexts(cells)[0]))).toEqual(
        fields && { _id: key, ...fields },
      );
    }
  }
});

test("a producer that is stopped during its start ends without an error", async () => {
  const producer = await ProducerUnderTest.create();
  await producer.db.collection<Item>("things").insertOne({ _id: "a" });
  const { registry } = producer;
  let stopping: Promise<void> | undefined;
  const running = producer.start({
    registry: {
      ...registry,
      register: async () => {
        stopping = running.stop();
        throw new HeadraceError("REGISTRY_UNAVAILABLE", { message: "the connection was cut" });
      },
    },
  });
  await running.done;
  await stopping;
  expect(stopping).toBeDefined();
});

test("of two producers with one name the older one stops, and no event is lost or duplicated", async () => {
  const producer = await ProducerUnderTest.create();
  const writer = await modelWriter(producer, ["things"]);
  const published = vi.fn();
  const older = producer.start({ observer: { published } });
  for (let i = 0; i < 200; i++) await writer.step();
  await vi.waitFor(() => expect(published).toHaveBeenCalled(), 30_000);
  const younger = producer.start();
  let hasOneStopped = false;
  const stopped = Promise.race([older.done, younger.done]).finally(() => (hasOneStopped = true));
  stopped.catch(() => {});
  while (!hasOneStopped) await writer.step();
  await expect(older.done).rejects.toMatchObject({ code: "FENCED", kind: "fatal" });
  for (let i = 0; i < 100; i++) await writer.step();
  await younger.stop();
  await producer.runOnce();
  const changes = await producer.changes("things");
  expect(tableOf(changes)).toEqual(await documentsOf(producer.db, "things"));
  expect(duplicatesOf(changes)).toEqual([]);
});

test("the process that was started first is the older one, even if its start took longer", async () => {
  const producer = await ProducerUnderTest.create();
  await producer.db.createCollection("things");
  const published = vi.fn();
  const younger = producer.start({ startedAtMs: 2_000, observer: { published } });
  await vi.waitFor(() => expect(published).toHaveBeenCalled(), 30_000);
  const older = producer.start({ startedAtMs: 1_000 });
  await expect(older.done).rejects.toMatchObject({ code: "FENCED" });
  await younger.stop();
});

test("it retries passing errors while it creates topics and schemas", async () => {
  const producer = await ProducerUnderTest.create();
  await producer.db.collection<Item>("things").insertOne({ _id: "a" });
  const { registry } = producer;
  let failures = 0;
  const failingFirst: SchemaRegistry = {
    ...registry,
    register: async (...given) => {
      if (failures++ === 0) throw new HeadraceError("REGISTRY_UNAVAILABLE", { message: "the connection was cut" });
      return registry.register(...given);
    },
  };
  await producer.runOnce({ registry: failingFirst });
  expect(failures).toBeGreaterThan(1);
  expect(tableOf(await producer.changes("things"))).toEqual(await documentsOf(producer.db, "things"));
});

test.each(["things", "positions"])("it stops when the topic of %s is deleted while it runs", async (what) => {
  const producer = await ProducerUnderTest.create();
  const things = producer.db.collection<Item>("things");
  await things.insertOne({ _id: "a" });
  const published = vi.fn();
  const running = producer.start({ observer: { published } });
  await vi.waitFor(
    () => expect(published.mock.lastCall?.[0].position.snapshots.get("things").state).toBe("done"),
    30_000,
  );
  const topic =
    what === "things" ? topicOf(producer.name, producer.db.databaseName, what) : positionsTopic(producer.name);
  const admin = testKafka().admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  await things.insertOne({ _id: "b" });
  await expect(running.done).rejects.toMatchObject({ code: "TOPIC_DELETED", message: expect.stringContaining(topic) });
});

test("a schema that the registry refuses stops it before any data moves", async () => {
  const producer = await ProducerUnderTest.create();
  const { db, name } = producer;
  await db.collection<Item>("first").insertOne({ _id: "a" });
  await db.collection<Item>("second").insertOne({ _id: "b", n: 1 });
  const columns = (sql: string) => [{ name: "n", path: ["n"], type: parseColumnType(sql) }];
  const second: CollectionMapping = {
    collection: "second",
    mode: "columns",
    columns: columns("bigint"),
    children: [],
    idType: undefined,
  };
  await producer.runOnce(onlyThese([second]));
  const changed: CollectionMapping = { ...second, columns: columns("bytea") };
  await expect(producer.runOnce(onlyThese([documentMode("first"), changed]))).rejects.toMatchObject({
    code: "SCHEMA_REFUSED",
  });
  expect(await readTopic(topicOf(name, db.databaseName, "first"))).toEqual([]);
});

test("documents that cannot be encoded become dead letters, and all others are published", async () => {
  const producer = await ProducerUnderTest.create();
  const items = producer.db.collection<Item>("items");
  await items.insertMany([{ _id: 1 }, { _id: 2 }]);
  await producer.runOnce();
  await items.insertMany([{ _id: 1.5 }, { _id: "text" }, { _id: 3 }]);
  const counted: string[] = [];
  await producer.runOnce({ observer: { deadLetter: (collection, code) => counted.push(`${collection} ${code}`) } });
  expect([...tableOf(await producer.changes("items")).keys()].sort()).toEqual(["1", "2", "3"]);
  const letters = await readTopic(deadLetterTopic(producer.name));
  const keys = letters.map(({ headers }) => String(headers["headrace.key"]));
  expect(keys.sort()).toEqual(['"text"', '{"$numberDecimal":"1.5"}']);
  for (const { value, headers } of letters) {
    expect(value).toBeNull();
    expect(parseDeadLetter(headers)).toMatchObject({
      topic: topicOf(producer.name, producer.db.databaseName, "items"),
      code: "ID_TYPE_MISMATCH",
      connectorName: producer.name,
    });
  }
  expect(counted).toEqual(["items ID_TYPE_MISMATCH", "items ID_TYPE_MISMATCH"]);
});

test("documents of nearly 16 MB are published, also many at once", async () => {
  const producer = await ProducerUnderTest.create();
  const large = producer.db.collection<Item>("large");
  const text = "x".repeat(16_000_000);
  for (const _id of ["a", "b", "c"]) await large.insertOne({ _id, text });
  await producer.runOnce({ snapshot: { mode: "initial", chunkDocuments: 2 } });
  await large.updateMany({}, { $set: { n: 1 } });
  await producer.runOnce();
  const table = tableOf(await producer.changes("large"));
  expect([...table.keys()].sort()).toEqual(["a", "b", "c"]);
  for (const [_id, document] of table) expect(document).toEqual({ _id, text, n: 1 });
});

test("a record that is too large for its topic becomes a dead letter with its key", async () => {
  const producer = await ProducerUnderTest.create();
  const { db, name } = producer;
  const topic = topicOf(name, db.databaseName, "items");
  const admin = testKafka().admin();
  await admin.createTopics({
    topics: [{ topic, numPartitions: 3, configEntries: [{ name: "max.message.bytes", value: "10000" }] }],
  });
  await admin.disconnect();
  await db.collection<Item>("items").insertMany([{ _id: "small" }, { _id: "large", text: "x".repeat(20_000) }]);
  await producer.runOnce();
  expect([...tableOf(await producer.changes("items")).keys()]).toEqual(["small"]);
  const [letter, ...others] = await readTopic(deadLetterTopic(name));
  expect(others).toEqual([]);
  expect(letter?.key?.toString()).toContain("large");
  expect(parseDeadLetter(letter?.headers ?? {})).toMatchObject({ code: "DOCUMENT_UNENCODABLE" });
});

test("a topic with a different number of partitions is refused", async () => {
  const producer = await ProducerUnderTest.create();
  await producer.db.collection<Item>("items").insertOne({ _id: "a" });
  await producer.runOnce();
  const topics = {
    partitions: 4,
    replicationFactor: 1,
    retentionMs: 3_600_000,
    deadLetterRetentionMs: 7_200_000,
    brokers: [],
  };
  await expect(producer.runOnce({ topics })).rejects.toMatchObject({ code: "TOPIC_PARTITIONS", kind: "fatal" });
});

test("a collection that is created while it runs gets its topic and schema", async () => {
  const producer = await ProducerUnderTest.create();
  await producer.db.collection<Item>("old").insertOne({ _id: "a" });
  let published = 0;
  const running = producer.start({ observer: { published: ({ events }) => (published += events.length) } });
  await vi.waitFor(() => expect(published).toBe(1), 30_000);
  await producer.db.collection<Item>("new").insertOne({ _id: 7 });
  await vi.waitFor(() => expect(published).toBe(3), 30_000);
  await running.stop();
  const rowSchema = { idType: "integer" };
  // Documents from before its first event are copied, too.
  expect(await producer.changes("new")).toMatchObject([
    { op: "c", key: "7", rowSchema },
    { op: "r", key: "7", rowSchema },
  ]);
});

test("a delete is followed by a tombstone of the same key in the same partition", async () => {
  const producer = await ProducerUnderTest.create();
  const items = producer.db.collection<Item>("items");
  await items.insertOne({ _id: "a" });
  await producer.runOnce();
  await items.deleteOne({ _id: "a" });
  await producer.runOnce();
  const records = await readTopic(topicOf(producer.name, producer.db.databaseName, "items"));
  expect(records.map(({ value }) => value === null)).toEqual([false, false, true]);
  expect(new Set(records.map(({ partition, key }) => `${partition} ${String(key)}`)).size).toBe(1);
});
