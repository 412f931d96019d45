import { setTimeout as sleep } from "node:timers/promises";
import type { Admin, Kafka } from "kafkajs";
import { partitionKey } from "../schemas/partitions.ts";
import type { PartitionOffset, LogBounds } from "../schemas/partitions.ts";
import { answered, kafkaError } from "./errors.ts";

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

/** Whether a consumer group has members now. @throws HeadraceError */
export function hasMembers(kafka: Kafka, groupId: string): Promise<boolean> {
  return withAdmin(kafka, "looking at the consumer group", async (admin) => {
    const { groups } = await admin.describeGroups([groupId]);
    return groups.some(({ members }) => members.length > 0);
  });
}

/** The groups whose id satisfies `wanted`. @throws HeadraceError */
export function listGroups(kafka: Kafka, wanted: (groupId: string) => boolean): Promise<readonly string[]> {
  return withAdmin(kafka, "listing the consumer groups", async (admin) => {
    const { groups } = await admin.listGroups();
    return groups.map(({ groupId }) => groupId).filter(wanted);
  });
}

/** @throws HeadraceError */
export async function deleteGroups(kafka: Kafka, groupIds: readonly string[]): Promise<void> {
  if (groupIds.length === 0) return;
  await withAdmin(kafka, "deleting the consumer group", (admin) => admin.deleteGroups([...groupIds]));
}

const POLL_MS = 100;

/** Resolves when they are gone, so that topics of the same names can be made. @throws HeadraceError */
export async function deleteTopics(kafka: Kafka, topics: readonly string[]): Promise<void> {
  if (topics.length === 0) return;
  await withAdmin(kafka, "deleting topics", async (admin) => {
    await admin.deleteTopics({ topics: [...topics] });
    while ((await admin.listTopics()).some((topic) => topics.includes(topic))) await sleep(POLL_MS);
  });
}

/** Deletes what stands before an offset in the only partition of a topic. @throws HeadraceError */
export function deleteRecordsBefore(kafka: Kafka, topic: string, offset: bigint): Promise<void> {
  return withAdmin(kafka, "deleting records", async (admin) => {
    // kafkajs knows only the topics that it was asked about.
    await admin.fetchTopicMetadata({ topics: [topic] });
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] });
  });
}
