// Records that Kafka refuses for their size, told by the topic's configuration or only by the broker's answer.
import { randomBytes } from "node:crypto";
import kafkajs from "kafkajs";
import type { Admin } from "kafkajs";
import { expect, test, vi } from "vitest";
import { kafkaSessions } from "../../../src/producers/kafka/session.ts";
import { BatchLimits } from "../../../src/producers/records/batch-limits.ts";
import { batchBytes } from "../../../src/producers/records/batch-records.ts";
import type { TopicRecord } from "../../../src/producers/records/batch-records.ts";
import { createLogger } from "../../../src/runtime/logger.ts";
import type { Position } from "../../../src/schemas/change-event.ts";
import { parseDeadLetter } from "../../../src/schemas/dead-letter.ts";
import { deadLetterTopic, topicOf } from "../../../src/schemas/topics.ts";
import { ProducerUnderTest, tableOf } from "../producer-under-test.ts";
import { pipelineName, pipelineTopics, readTopic, testKafka } from "./pipeline-topics.ts";

interface Item {
  _id: string;
  text?: string;
}

const PARTITIONS = 3;

/** That compression does not make smaller. */
function text(bytes: number): string {
  return randomBytes(bytes / 2).toString("hex");
}

async function withAdmin(use: (admin: Admin) => Promise<unknown>): Promise<void> {
  const admin = testKafka().admin();
  await admin.connect();
  await use(admin);
  await admin.disconnect();
}

async function createTopic(topic: string, maxMessageBytes: number): Promise<void> {
  const configEntries = [{ name: "max.message.bytes", value: String(maxMessageBytes) }];
  await withAdmin((admin) =>
    admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, configEntries }], waitForLeaders: true }),
  );
}

async function lowerLimit(topic: string, maxMessageBytes: number): Promise<void> {
  const configEntries = [{ name: "max.message.bytes", value: String(maxMessageBytes) }];
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries };
  await withAdmin((admin) => admin.alterConfigs({ validateOnly: false, resources: [resource] }));
}

async function deadLetterKeys(name: string): Promise<string[]> {
  const letters = await readTopic(deadLetterTopic(name));
  for (const { value, headers } of letters) {
    expect(value).toBeNull();
    expect(parseDeadLetter(headers)).toMatchObject({ code: "DOCUMENT_UNENCODABLE" });
  }
  return letters.map(({ key }) => /[a-z]+ \d+/.exec(String(key))?.[0] ?? "").sort();
}

test("a topic gets all documents below its limit, even if the limit is smaller than a batch", async () => {
  const producer = await ProducerUnderTest.create();
  const { db, name } = producer;
  const items = await db.createCollection<Item>("items");
  await createTopic(topicOf(name, db.databaseName, "items"), 10_000);
  const documents = (kind: string) =>
    Array.from({ length: 300 }, (_, i) => ({ _id: `${kind} ${i}`, text: text(4_000) }));
  await items.insertMany([...documents("copied"), { _id: "large 0", text: text(20_000) }]);
  await producer.runOnce();
  await items.insertMany([...documents("new"), { _id: "large 1", text: text(20_000) }]);
  await items.updateMany({}, { $set: { changed: true } });
  await producer.runOnce();
  expect(tableOf(await producer.changes("items")).size).toBe(600);
  expect(new Set(await deadLetterKeys(name))).toEqual(new Set(["large 0", "large 1"]));
});

test("after an operator lowers the limit, larger records become dead letters, and the others are published", async () => {
  const producer = await ProducerUnderTest.create();
  const { db, name } = producer;
  const topic = topicOf(name, db.databaseName, "items");
  const items = db.collection<Item>("items");
  await items.insertOne({ _id: "first", text: text(20_000) });
  const published = vi.fn();
  const running = producer.start({ observer: { published } });
  await vi.waitFor(async () => expect(await producer.changes("items")).toHaveLength(1), 60_000);
  await lowerLimit(topic, 10_000);
  await items.insertMany([{ _id: "small 1" }, { _id: "large 1", text: text(20_000) }, { _id: "small 2" }]);
  await vi.waitFor(async () => expect(await producer.changes("items")).toHaveLength(3), 60_000);
  await items.insertMany([{ _id: "large 2", text: text(20_000) }, { _id: "small 3" }]);
  await vi.waitFor(async () => expect(await producer.changes("items")).toHaveLength(4), 60_000);
  await running.stop();
  expect([...tableOf(await producer.changes("items")).keys()].sort()).toEqual([
    "first",
    "small 1",
    "small 2",
    "small 3",
  ]);
  expect(await deadLetterKeys(name)).toEqual(["large 1", "large 2"]);
});

test("finds the too large records when the broker accepts less than the topic's configuration says", async () => {
  const name = pipelineName();
  const topics = pipelineTopics(name, "db");
  await topics.prepareInternal();
  const topic = topicOf(name, "db", "items");
  await createTopic(topic, 10_000);
  const limits = new BatchLimits();
  limits.set(topic, 1_000_000);
  const sizes = [1_000, 4_000, 20_000, 4_000, 9_000, 4_000, 15_000, 4_000];
  const records = sizes.map((size, index): TopicRecord => {
    const value = randomBytes(size);
    return { topic, partition: index % PARTITIONS, key: Buffer.from(`${index}`), value, timestampMs: Date.now() };
  });
  const openSession = kafkaSessions({
    kafka: testKafka(),
    name,
    watch: null,
    instance: { id: "one", startedAtMs: 0 },
    limits,
    logger: createLogger({ level: "silent" }),
    messageLimits: async () => new Map([[topic, 1_000_000]]),
    makeRecords: async (events) =>
      records.filter((record) => events.length > 0 && batchBytes([record]) <= limits.of(topic)),
  });
  const publish = async (): Promise<boolean> => {
    const session = await openSession({ signal: AbortSignal.timeout(60_000) });
    try {
      await session.publish({ events: [{ op: "t", collection: "items", version: 1n }], position: POSITION });
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: "KAFKA_BATCH_REFUSED", kind: "retryable" });
      return false;
    } finally {
      await session.close();
    }
  };
  while (!(await publish()));
  const published = (await readTopic(topic)).map(({ key }) => Number(key));
  const expected = [...sizes.keys()].filter((index) => (sizes[index] ?? 0) < 10_000);
  expect(published.toSorted((a, b) => a - b)).toEqual(expected);
});

const POSITION: Position = {
  resumeToken: null,
  clusterTime: 1n,
  cluster: "cluster",
  horizon: 0n,
  snapshots: new Map(),
  signals: { offset: 0n, after: null },
};
