import { Kafka, logLevel } from "kafkajs";
import type { KafkaMessage } from "kafkajs";
import { afterAll } from "vitest";
// Kafka for the producer's tests: topics of an own pipeline, and what a read_committed reader sees in them.
import { registerZstd } from "../../../src/kafka/wire/zstd.ts";
import { KafkaTopics } from "../../../src/producers/kafka/topics.ts";
import { servers, uniqueName } from "../../support/servers.ts";

export interface ReadRecord {
  readonly partition: number;
  readonly message: KafkaMessage;
}

const pipelines: string[] = [];

afterAll(async () => {
  if (pipelines.length === 0) return;
  const admin = testKafka().admin();
  await admin.connect();
  const topics = await admin.listTopics();
  await admin.deleteTopics({
    topics: topics.filter((topic) => pipelines.some((name) => topic.startsWith(`${name}.`))),
  });
  await admin.disconnect();
});

export function testKafka(brokers: string = servers().kafkaBrokers): Kafka {
  return new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });
}

/** A name of a pipeline whose topics are removed after the test file. */
export function pipelineName(): string {
  const name = uniqueName("producer");
  pipelines.push(name);
  return name;
}

export function pipelineTopics(name: string, database: string): KafkaTopics {
  return new KafkaTopics({
    kafka: testKafka(),
    name,
    database,
    partitions: 3,
    replicationFactor: 1,
    retentionMs: 3_600_000,
  });
}

/** All records of a topic up to its end, read_committed. */
export async function readTopic(topic: string): Promise<ReadRecord[]> {
  const kafka = testKafka();
  const admin = kafka.admin();
  await admin.connect();
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, BigInt(high)]));
  await admin.disconnect();
  const records: ReadRecord[] = [];
  const waiting = new Set([...ends].filter(([, high]) => high > 0n).map(([partition]) => partition));
  if (waiting.size === 0) return records;
  registerZstd();
  const consumer = kafka.consumer({ groupId: uniqueName("reader"), maxWaitTimeInMs: 100 });
  const done = Promise.withResolvers<void>();
  const reached = (partition: number, next: bigint): void => {
    if (next >= (ends.get(partition) ?? 0n)) waiting.delete(partition);
    if (waiting.size === 0) done.resolve();
  };
  consumer.on(consumer.events.CRASH, ({ payload }) => done.reject(payload.error));
  // Control records give no batch to the callback, only this event.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) =>
    reached(payload.partition, BigInt(payload.lastOffset) + 1n),
  );
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        for (const message of batch.messages) records.push({ partition: batch.partition, message });
      },
    });
    await done.promise;
  } finally {
    await consumer.disconnect();
  }
  return records;
}
