import { setTimeout as sleep } from "node:timers/promises";
import type { Admin, Kafka } from "kafkajs";
import { kafkaError } from "./errors.ts";

/**
 * Connects an admin client for one question. A longer life would do harm: kafkajs requests the metadata of every topic
 * that the client was ever used for, and fails once one of these topics is deleted.
 * @param doing for error messages: `reading the topics`
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

/** Whether a consumer group has members now. @throws HeadraceError */
export function hasMembers(kafka: Kafka, groupId: string): Promise<boolean> {
  return withAdmin(kafka, "looking at the consumer group", async (admin) => {
    const { groups } = await admin.describeGroups([groupId]);
    return groups.some(({ members }) => members.length > 0);
  });
}

/** @returns the ids of the groups that `wanted` accepts @throws HeadraceError */
export function listGroups(kafka: Kafka, wanted: (groupId: string) => boolean): Promise<readonly string[]> {
  return withAdmin(kafka, "listing the consumer groups", async (admin) => {
    const { groups } = await admin.listGroups();
    return groups.map(({ groupId }) => groupId).filter(wanted);
  });
}

/** @throws HeadraceError */
export async function deleteGroups(kafka: Kafka, groupIds: readonly string[]): Promise<void> {
  if (groupIds.length === 0) return;
  await withAdmin(kafka, "deleting consumer groups", (admin) => admin.deleteGroups([...groupIds]));
}

const POLL_MS = 100;

/** Resolves when they are gone: then topics of the same names can be created. @throws HeadraceError */
export async function deleteTopics(kafka: Kafka, topics: readonly string[]): Promise<void> {
  if (topics.length === 0) return;
  await withAdmin(kafka, "deleting topics", async (admin) => {
    await admin.deleteTopics({ topics: [...topics] });
    while ((await admin.listTopics()).some((topic) => topics.includes(topic))) await sleep(POLL_MS);
  });
}

/** Deletes the records before an offset in partition 0 of a topic. @throws HeadraceError */
export function deleteRecordsBefore(kafka: Kafka, topic: string, offset: bigint): Promise<void> {
  return withAdmin(kafka, "deleting records", async (admin) => {
    // kafkajs finds the leaders of those topics only whose metadata it has fetched.
    await admin.fetchTopicMetadata({ topics: [topic] });
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] });
  });
}
