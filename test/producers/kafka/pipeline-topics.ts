// Kafka for the producer's tests: topics of an own pipeline, and what a read_committed reader sees in them.
import { logLevel } from "kafkajs";
import type { Kafka } from "kafkajs";
import { afterAll } from "vitest";
import { newKafka } from "../../../src/kafka/client.ts";
import { scanTopic } from "../../../src/kafka/topic-reader.ts";
import type { FetchedRecord } from "../../../src/kafka/wire/record-batch.ts";
import { KafkaTopics } from "../../../src/producers/kafka/topics.ts";
import { createLogger } from "../../../src/runtime/logger.ts";
import { servers, uniqueName } from "../../support/servers.ts";

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
  return newKafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });
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
    deadLetterRetentionMs: 7_200_000,
    brokers: [servers().kafkaBrokers],
    logger: createLogger({ level: "silent" }),
  });
}

/** All records of a topic up to its end, read_committed. */
export async function readTopic(topic: string): Promise<FetchedRecord[]> {
  const records: FetchedRecord[] = [];
  const options = { topic, signal: new AbortController().signal, doing: "reading a topic" };
  await scanTopic(testKafka(), options, (record) => void records.push(record));
  return records;
}
