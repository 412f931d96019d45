import type { Kafka } from "kafkajs";
import { recordCopier } from "../consumers/dead-letters/topic.ts";
import type { DeadLetterReader, LogRecord } from "../consumers/ports.ts";
import { deleteRecordsBefore } from "../kafka/admin.ts";
import { deadLetterHeaders, parseDeadLetter } from "../schemas/dead-letter.ts";

export interface ForgetOptions {
  readonly kafka: Kafka;
  /** The DLQ. */
  readonly topic: string;
  readonly reader: DeadLetterReader;
  readonly signal: AbortSignal;
}

/**
 * Takes the dead letters of one topic out of the DLQ: the others are copied behind its end, and everything before is
 * deleted. Broken off in the middle, some stand there twice, which does no harm: those of one origin count once.
 */
export async function forgetDeadLetters(
  ofTopic: string,
  { kafka, topic, reader, signal }: ForgetOptions,
): Promise<void> {
  let end = 0n;
  let isThere = false;
  await reader.scan(
    (record) => {
      end = record.offset + 1n;
      isThere ||= isOf(ofTopic, record);
      return Promise.resolve();
    },
    { signal },
  );
  if (!isThere) return;
  const copier = recordCopier(kafka, topic);
  try {
    await reader.scan(
      async (record) => {
        if (record.offset < end && !isOf(ofTopic, record)) await copier.copy(record, placedHeaders(record));
      },
      { signal },
    );
  } finally {
    await copier.close();
  }
  await deleteRecordsBefore(kafka, topic, end);
}

function isOf(topic: string, { headers }: LogRecord): boolean {
  return parseDeadLetter(headers).topic === topic;
}

/** The producer's is named by its place, which changes. */
function placedHeaders({ headers, offset }: LogRecord): LogRecord["headers"] {
  const { partition, offset: origin, firstOffset } = parseDeadLetter(headers);
  if ((partition !== null && origin !== null) || firstOffset !== null) return headers;
  const place = Object.entries(deadLetterHeaders({ firstOffset: offset }));
  return { ...headers, ...Object.fromEntries(place.map(([name, text]) => [name, Buffer.from(text)])) };
}
