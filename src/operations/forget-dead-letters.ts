import type { Kafka } from "kafkajs";
import { recordCopier } from "../consumers/dead-letters/topic.ts";
import type { DeadLetterReader, LogRecord } from "../consumers/ports.ts";
import { deleteRecordsBefore } from "../kafka/admin.ts";
import { deadLetterHeaders, parseDeadLetter } from "../schemas/dead-letter.ts";

export interface ForgetOptions {
  readonly kafka: Kafka;
  /** The dead-letter topic. */
  readonly topic: string;
  readonly reader: DeadLetterReader;
  readonly signal: AbortSignal;
}

/**
 * Deletes the dead letters of one collection's topic: copies the others behind the end of the dead-letter topic, then deletes
 * everything before. After an interruption some are there twice, which does no harm: those of one origin count once.
 */
export async function forgetDeadLetters(
  ofTopic: string,
  { kafka, topic, reader, signal }: ForgetOptions,
): Promise<void> {
  let found = false;
  await reader.scan((record) => void (found ||= isOf(ofTopic, record)), { signal });
  if (!found) return;
  const to = await reader.end();
  const copier = recordCopier(kafka, topic);
  try {
    await reader.scan(
      async (record) => {
        if (!isOf(ofTopic, record)) await copier.copy(record, headersOfCopy(record));
      },
      { signal, to },
    );
  } finally {
    await copier.close();
  }
  await deleteRecordsBefore(kafka, topic, to);
}

function isOf(topic: string, { headers }: LogRecord): boolean {
  return parseDeadLetter(headers).topic === topic;
}

/** A dead letter of the producer is identified by its offset, which the copy must keep as a header. */
function headersOfCopy({ headers, offset }: LogRecord): LogRecord["headers"] {
  const { partition, offset: origin, firstOffset } = parseDeadLetter(headers);
  if ((partition !== null && origin !== null) || firstOffset !== null) return headers;
  const place = Object.entries(deadLetterHeaders({ firstOffset: offset }));
  return { ...headers, ...Object.fromEntries(place.map(([name, text]) => [name, Buffer.from(text)])) };
}
