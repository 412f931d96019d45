import { randomUUID } from "node:crypto";
import { Partitioners } from "kafkajs";
import type { Kafka } from "kafkajs";
import { fetchLogBounds, listTopics, withAdmin } from "../../kafka/admin.ts";
import { kafkaError } from "../../kafka/errors.ts";
import type { Logger } from "../../runtime/logger.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import { createKafkaRecordLog } from "../kafka/record-log.ts";
import type { DeadLetterReader, DeadLetterWriter, LogRecord } from "../ports.ts";
import { headersOfDeadLetter } from "./headers.ts";
import type { DeadLetterSource } from "./headers.ts";

export interface DeadLetterWriterOptions extends DeadLetterSource {
  readonly kafka: Kafka;
  /** The DLQ. It must exist. */
  readonly topic: string;
}

/**
 * Writes each dead letter with `acks: all`. A repeated one does no harm, as those of one origin count once; so the
 * producer is not idempotent: after a lost answer kafkajs's sequence numbers are wrong, and the broker would drop
 * the next dead letter as a duplicate and report success.
 */
export function createKafkaDeadLetterWriter(
  options: DeadLetterWriterOptions,
): DeadLetterWriter & { close(): Promise<void> } {
  const { kafka, topic } = options;
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: { initialRetryTime: 200, retries: 3 },
  });
  return {
    async write(record, failure) {
      const headers = headersOfDeadLetter(record, failure, options, new Date());
      try {
        // Resolves at once when it is connected.
        await producer.connect();
        await producer.send({ topic, acks: -1, messages: [{ key: record.key, value: record.value, headers }] });
      } catch (error) {
        throw kafkaError(error, "writing a dead letter");
      }
    },
    close: () => producer.disconnect(),
  };
}

export interface DeadLetterReaderOptions {
  readonly kafka: Kafka;
  readonly topic: string;
  /** A group for each scan begins with this; it is deleted afterwards. */
  readonly groupPrefix: string;
  readonly logger: Logger;
}

/** kafkajs reads only as a member of a group. */
export function createKafkaDeadLetterReader(options: DeadLetterReaderOptions): DeadLetterReader {
  const { kafka, topic, groupPrefix, logger } = options;
  return {
    async scan(visit, { signal }) {
      const { positions, ends } = await boundsOf(kafka, topic);
      if (ends.size === 0) return;
      const groupId = `${groupPrefix}.${randomUUID()}`;
      const done = new AbortController();
      const topics = { includes: (each: string) => each === topic, expected: [topic] };
      const log = createKafkaRecordLog({ kafka, groupId, topics, logger, maxWaitMs: 100 });
      try {
        await log.run(
          {
            startOffsets: () => Promise.resolve(positions),
            async recordsLost(lost) {
              for (const each of lost) positions.set(partitionKey(each), each.logStart);
            },
            async eachBatch(batch) {
              const key = partitionKey(batch);
              const end = ends.get(key) ?? 0n;
              for (const record of batch.records) {
                signal.throwIfAborted();
                batch.signal.throwIfAborted();
                if (record.offset < end) await visit(record);
                positions.set(key, record.offset + 1n);
              }
              positions.set(key, batch.nextOffset);
              if (batch.nextOffset >= end) ends.delete(key);
              // Nothing is to come after the end that a failed commit could be seen by.
              if (ends.size === 0) done.abort();
              else batch.commit(batch.nextOffset);
            },
          },
          { signal: AbortSignal.any([signal, done.signal]) },
        );
      } finally {
        await forgetGroup(kafka, groupId, logger);
      }
      signal.throwIfAborted();
    },
  };
}

/** Where the partitions begin, and where those end that hold anything. */
async function boundsOf(
  kafka: Kafka,
  topic: string,
): Promise<{ positions: Map<string, bigint>; ends: Map<string, bigint> }> {
  const positions = new Map<string, bigint>();
  const ends = new Map<string, bigint>();
  const [found] = await listTopics(kafka, (each) => each === topic);
  if (found === undefined) return { positions, ends };
  for (const [key, { low, high }] of await fetchLogBounds(kafka, [topic])) {
    positions.set(key, low);
    if (low < high) ends.set(key, high);
  }
  return { positions, ends };
}

async function forgetGroup(kafka: Kafka, groupId: string, logger: Logger): Promise<void> {
  try {
    await withAdmin(kafka, "deleting a group", (admin) => admin.deleteGroups([groupId]));
  } catch (err) {
    // Kafka forgets a group without members by itself, after some days.
    logger.debug({ err, groupId }, "the group of a finished scan was not deleted");
  }
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
      const message = { key, value, partition, timestamp: String(timestampMs), headers: { ...headers } };
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
