import type { Kafka } from "kafkajs";
import { kafkaError } from "../../kafka/errors.ts";
import { plainProducer } from "../../kafka/plain-producer.ts";
import { scanTopic } from "../../kafka/topic-reader.ts";
import { fetchEndOffsets, listTopics } from "../../kafka/topics.ts";
import type { DeadLetterReader, DeadLetterWriter, LogRecord } from "../ports.ts";
import { headersOfDeadLetter } from "./headers.ts";
import type { DeadLetterSource } from "./headers.ts";

export interface DeadLetterWriterOptions extends DeadLetterSource {
  readonly kafka: Kafka;
  /** The dead-letter topic. It must exist. */
  readonly topic: string;
}

/**
 * Writes each dead letter with `acks: all`. To be closed. Writing one twice does no harm, because those of one origin
 * count once.
 */
export function createKafkaDeadLetterWriter(
  options: DeadLetterWriterOptions,
): DeadLetterWriter & { close(): Promise<void> } {
  const { kafka, topic } = options;
  const producer = plainProducer(kafka);
  return {
    async write(record, failure) {
      const headers = headersOfDeadLetter(record, failure, options, new Date());
      try {
        // Resolves at once where it is already connected.
        await producer.connect();
        await producer.send({ topic, acks: -1, messages: [{ key: record.key, value: record.value, headers }] });
      } catch (error) {
        throw kafkaError(error, `writing a dead letter to the topic ${topic}`);
      }
    },
    close: () => producer.disconnect(),
  };
}

/** Reads committed dead letters, those of the producer's transactions, too. */
export function createKafkaDeadLetterReader(kafka: Kafka, topic: string): DeadLetterReader {
  return {
    scan: (visit, options) => scanTopic(kafka, { ...options, topic, doing: "reading the dead letters" }, visit),
    async end() {
      const found = await listTopics(kafka, (each) => each === topic);
      const ends = await fetchEndOffsets(kafka, found);
      return ends.find(({ partition }) => partition === 0)?.offset ?? 0n;
    },
  };
}

/** Appends copies of records, with their time, and with the given headers. To be closed. */
export function recordCopier(
  kafka: Kafka,
  topic: string,
): { copy(record: LogRecord, headers: LogRecord["headers"]): Promise<void>; close(): Promise<void> } {
  const producer = plainProducer(kafka);
  return {
    async copy({ key, value, partition, timestampMs }, headers) {
      const message = { key, value, partition, timestamp: String(timestampMs), headers: { ...headers } };
      try {
        await producer.connect();
        await producer.send({ topic, acks: -1, messages: [message] });
      } catch (error) {
        throw kafkaError(error, `copying dead letters to the topic ${topic}`);
      }
    },
    close: () => producer.disconnect(),
  };
}
