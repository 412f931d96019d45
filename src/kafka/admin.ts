import type { Admin, Kafka } from "kafkajs";
import { answered, kafkaError } from "./errors.ts";
import { partitionKey } from "../consumers/ports.ts";
import type { LogBounds } from "../consumers/batches/log-bounds.ts";
import type { PartitionOffset } from "../consumers/ports.ts";

/**
 * An admin client lives for one question: it asks again for every topic that it was ever asked about, and fails
 * once one of those is deleted.
 * @throws HeadraceError
 */
export async function withAdmin<T>(kafka: Kafka, doing: string, use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin({ retry: { initialRetryTime: 200, retries: 4 } });
  try {
    try {
      await admin.connect();
      return await use(admin);
    } finally {
      await admin.disconnect();
    }
  } catch (error) {
    throw kafkaError(error, doing);
  }
}

/** What all partitions of the topics hold, by `partitionKey`. @throws HeadraceError */
export function fetchLogBounds(kafka: Kafka, topics: readonly string[]): Promise<ReadonlyMap<string, LogBounds>> {
  return withAdmin(kafka, "reading the topics' offsets", async (admin) => {
    const bounds = new Map<string, LogBounds>();
    for (const topic of new Set(topics)) {
      for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
        bounds.set(partitionKey({ topic, partition }), { low: BigInt(low), high: BigInt(high) });
      }
    }
    return bounds;
  });
}

/**
 * Where the topics end now for those who read committed records, as targets of a run that is to end there. Kafka
 * answers a commit before its markers are written: a transaction that was committed a moment ago counts only once its
 * producer has begun another one.
 * @throws HeadraceError
 */
export function fetchEndOffsets(kafka: Kafka, topics: readonly string[]): Promise<PartitionOffset[]> {
  return withAdmin(kafka, "reading the topics' end", async (admin) => {
    const ends: PartitionOffset[] = [];
    for (const topic of new Set(topics)) {
      for (const { partition, high } of await admin.fetchTopicOffsets(topic)) {
        ends.push({ topic, partition, offset: BigInt(high) });
      }
    }
    return ends;
  });
}

/** @throws HeadraceError */
export function listTopics(kafka: Kafka, wanted: (topic: string) => boolean): Promise<string[]> {
  return withAdmin(kafka, "listing the topics", async (admin) => {
    const topics = await answered(admin.listTopics());
    return topics.filter(wanted).sort();
  });
}

/** How many partitions a topic has now. @throws HeadraceError */
export function countPartitions(kafka: Kafka, topic: string): Promise<number> {
  return withAdmin(kafka, "counting the topic's partitions", async (admin) => {
    const { topics } = await answered(admin.fetchTopicMetadata({ topics: [topic] }));
    return topics.flatMap(({ partitions }) => partitions).length;
  });
}
