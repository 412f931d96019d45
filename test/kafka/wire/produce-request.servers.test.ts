// What a real broker makes of our Produce requests.
import { randomBytes } from "node:crypto";
import kafkajs, { Kafka, logLevel } from "kafkajs";
import type { CompressionTypes, IHeaders, KafkaMessage, Message, Producer, ProducerConfig } from "kafkajs";
import { expect, test } from "vitest";
import { replaceProduceEncoder } from "../../../src/kafka/wire/produce-request.ts";
import { registerZstd } from "../../../src/kafka/wire/zstd.ts";
import { pipelineName } from "../../producers/kafka/pipeline-topics.ts";
import { servers, uniqueName } from "../../support/servers.ts";

// Our encoder alone: what it wrote is decoded by kafkajs.
registerZstd();
replaceProduceEncoder();

const { CompressionTypes: Compression } = kafkajs;
const PARTITIONS = 3;

function plainKafka(): Kafka {
  return new Kafka({ brokers: servers().kafkaBrokers.split(","), logLevel: logLevel.NOTHING });
}

async function createTopic(): Promise<string> {
  const topic = `${pipelineName()}.sent`;
  const admin = plainKafka().admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: true });
  await admin.disconnect();
  return topic;
}

async function withProducer(config: ProducerConfig, use: (producer: Producer) => Promise<unknown>): Promise<void> {
  const createPartitioner = () => partitionOf;
  const producer = plainKafka().producer({ allowAutoTopicCreation: false, createPartitioner, ...config });
  await producer.connect();
  await use(producer);
  await producer.disconnect();
}

function partitionOf({ message }: { message: Message }): number {
  return message.partition ?? 0;
}

function messages(count: number, first = 0): Message[] {
  return Array.from({ length: count }, (_, at) => {
    const index = first + at;
    return {
      partition: index % PARTITIONS,
      key: index % 5 === 0 ? null : `key ${index} é`,
      value: index % 7 === 0 ? null : randomBytes(index % 400),
      timestamp: String(1_700_000_000_000 + ((index * 7919) % 1000)),
      headers: index % 3 === 0 ? {} : { text: `${index}`, bytes: Buffer.from([index % 256]), two: ["a", "b"] },
    };
  });
}

interface Comparable {
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: string | undefined;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

function comparable({ key, value, timestamp, headers }: Omit<Message, "partition">): Comparable {
  const text = (bytes: Buffer | string | null | undefined): string | null =>
    bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString("hex");
  return { key: text(key), value: text(value), timestamp, headers: comparableHeaders(headers) };
}

function comparableHeaders(headers: IHeaders = {}): Record<string, readonly string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, values]) => [name, (Array.isArray(values) ? values : [values]).map(String)]),
  );
}

interface ReadMessage {
  readonly partition: number;
  readonly message: KafkaMessage;
}

/** All records of a topic up to its end, read_committed. */
async function readTopic(topic: string): Promise<ReadMessage[]> {
  const kafka = plainKafka();
  const admin = kafka.admin();
  await admin.connect();
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, BigInt(high)]));
  await admin.disconnect();
  const messages: ReadMessage[] = [];
  const waiting = new Set([...ends].filter(([, high]) => high > 0n).map(([partition]) => partition));
  const consumer = kafka.consumer({ groupId: uniqueName("reader"), maxWaitTimeInMs: 100 });
  const done = Promise.withResolvers<void>();
  consumer.on(consumer.events.CRASH, ({ payload }) => done.reject(payload.error));
  // Control records give no batch to the callback, only this event.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
    if (BigInt(lastOffset) + 1n >= (ends.get(partition) ?? 0n)) waiting.delete(partition);
    if (waiting.size === 0) done.resolve();
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        for (const message of batch.messages) messages.push({ partition: batch.partition, message });
      },
    });
    await done.promise;
  } finally {
    await consumer.disconnect();
  }
  return messages;
}

/** Each partition's records, in the order sent. */
async function expectInTopic(topic: string, sent: readonly Message[]): Promise<void> {
  const found = await readTopic(topic);
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const ofPartition = found.filter((record) => record.partition === partition);
    expect(ofPartition.map(({ message }) => comparable(message as Message))).toEqual(
      sent.filter((message) => message.partition === partition).map(comparable),
    );
  }
}

const CODECS: [string, CompressionTypes][] = [
  ["no compression", Compression.None],
  ["gzip", Compression.GZIP],
  ["zstd", Compression.ZSTD],
];

test.each(CODECS)("records are read as they were sent, without idempotence: %s", async (_name, compression) => {
  const topic = await createTopic();
  const sent = messages(500);
  await withProducer({}, (producer) => producer.send({ topic, compression, messages: sent }));
  await expectInTopic(topic, sent);
});

test("records of several requests and transactions are read in order, without those of an aborted one", async () => {
  const topic = await createTopic();
  const sent = messages(2_000);
  const config = { idempotent: true, maxInFlightRequests: 1, transactionalId: topic };
  await withProducer(config, async (producer) => {
    for (const from of [0, 1_000]) {
      const transaction = await producer.transaction();
      for (let first = from; first < from + 1_000; first += 250) {
        const request = sent.slice(first, first + 250);
        await transaction.send({ topic, compression: Compression.ZSTD, messages: request });
      }
      await transaction.commit();
      const aborted = await producer.transaction();
      await aborted.send({ topic, compression: Compression.ZSTD, messages: messages(10, 9_000) });
      await aborted.abort();
    }
  });
  await expectInTopic(topic, sent);
});

test("a record without a time gets the time of sending", async () => {
  const topic = await createTopic();
  const before = Date.now();
  await withProducer({}, (producer) => producer.send({ topic, messages: [{ value: "now" }] }));
  const [found] = await readTopic(topic);
  expect(Number(found?.message.timestamp)).toBeGreaterThanOrEqual(before);
  expect(Number(found?.message.timestamp)).toBeLessThanOrEqual(Date.now());
});
