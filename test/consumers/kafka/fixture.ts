// Topics and producers of a test's own, on the stack's Kafka.
import { logLevel } from "kafkajs";
import type { Admin, Kafka, Message, Producer } from "kafkajs";
import { afterAll, beforeAll } from "vitest";
import { newKafka } from "../../../src/kafka/client.ts";
import { servers, uniqueName } from "../../support/servers.ts";

export interface KafkaFixture {
  readonly kafka: Kafka;
  readonly admin: Admin;
  /** A name under which nobody else has topics: `${prefix}.shop.products` and so on. */
  readonly prefix: string;
  createTopic(topic: string, partitions?: number, configs?: Readonly<Record<string, string>>): Promise<void>;
  /** One transaction per call; resolves once its marker stands in the log. */
  publish(topic: string, messages: readonly Message[], end?: "commit" | "abort"): Promise<void>;
  /** Deletes the records of a partition below an offset. */
  deleteRecords(topic: string, before: bigint, partition?: number): Promise<void>;
  endOffset(topic: string, partition?: number): Promise<bigint>;
}

export function connectKafka(brokers = servers().kafkaBrokers): Kafka {
  return newKafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });
}

/** To be called at the top of a file or a describe. Topics under the prefix are deleted at its end. */
export function useKafka(): KafkaFixture {
  let kafka: Kafka;
  let admin: Admin;
  const prefix = uniqueName("consumer");
  beforeAll(async () => {
    kafka = connectKafka();
    admin = kafka.admin();
    await admin.connect();
  });
  afterAll(async () => {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
    if (topics.length > 0) await admin.deleteTopics({ topics });
    await admin.disconnect();
  });
  return {
    get kafka() {
      return kafka;
    },
    get admin() {
      return admin;
    },
    prefix,
    async createTopic(topic, numPartitions = 1, configs = {}) {
      const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
      await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }], waitForLeaders: true });
    },
    async publish(topic, messages, end = "commit") {
      const transactionalId = uniqueName("tx");
      await withProducer(kafka, transactionalId, async (producer) => {
        const transaction = await producer.transaction();
        await transaction.send({ topic, messages: [...messages] });
        await transaction[end]();
      });
      // Kafka answers before the markers are written; another producer of the name has to wait for them.
      await withProducer(kafka, transactionalId, async (producer) => (await producer.transaction()).abort());
    },
    async deleteRecords(topic, before, partition = 0) {
      // kafkajs knows the topic's leader only after it was asked for something else.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] });
    },
    async endOffset(topic, partition = 0) {
      const offsets = await admin.fetchTopicOffsets(topic);
      return BigInt(offsets.find((each) => each.partition === partition)?.high ?? -1);
    },
  };
}

async function withProducer(
  kafka: Kafka,
  transactionalId: string,
  use: (producer: Producer) => Promise<void>,
): Promise<void> {
  const retry = { initialRetryTime: 5, multiplier: 1.5, maxRetryTime: 1_000, retries: 30 };
  const producer = kafka.producer({ transactionalId, maxInFlightRequests: 1, idempotent: true, retry });
  await producer.connect();
  try {
    await use(producer);
  } finally {
    await producer.disconnect();
  }
}
