import { setTimeout as sleep } from "node:timers/promises";
import { Partitioners } from "kafkajs";
import type { Kafka } from "kafkajs";
import { kafkaError } from "./errors.ts";
import { withAdmin } from "./admin.ts";
import type { LogRecord } from "../consumers/ports.ts";

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

/** Appends records as they are, headers and time included. To be closed. */
export function recordCopier(
  kafka: Kafka,
  topic: string,
): { copy(record: LogRecord, headers: LogRecord["headers"]): Promise<void>; close(): Promise<void> } {
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: { initialRetryTime: 200, retries: 3 },
  });
  return {
    async copy({ key, value, partition, timestampMs }, headers) {
      const known = Object.entries(headers).flatMap(([name, bytes]) => (bytes === undefined ? [] : [[name, bytes]]));
      const message = { key, value, partition, timestamp: String(timestampMs), headers: Object.fromEntries(known) };
      try {
        await producer.connect();
        await producer.send({ topic, acks: -1, messages: [message] });
      } catch (error) {
        throw kafkaError(error, "copying dead letters");
      }
    },
    close: () => producer.disconnect(),
  };
}

/** Deletes what stands before an offset in the only partition of a topic. @throws HeadraceError */
export function deleteRecordsBefore(kafka: Kafka, topic: string, offset: bigint): Promise<void> {
  return withAdmin(kafka, "deleting records", async (admin) => {
    // kafkajs knows only the topics that it was asked about.
    await admin.fetchTopicMetadata({ topics: [topic] });
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] });
  });
}
