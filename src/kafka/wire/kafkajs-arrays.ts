import type { Message } from "kafkajs";
import type { FetchedRecord } from "./record-batch.ts";

// kafkajs 2.2.4 calls `reduce` and `filter` on arrays of records and does slow work for each record in the callbacks.
// The objects here look like those arrays, but the methods return the known result and call nothing. They work
// only for the lines of kafkajs that are named here. docs/adr/0005 says what the callbacks cost.

/**
 * For src/producer/groupMessagesPerPartition.js:6, where `messages.reduce(…)` copies all records of a partition for each
 * of its records. Before that, src/producer/messageProducer.js:72 calls `messages.find(…)`, which is the array's own.
 * @param messages each with its partition; the array gets the `reduce`
 */
export function groupedByPartition(messages: Message[]): Message[] {
  const byPartition = Object.fromEntries(Map.groupBy(messages, ({ partition = 0 }) => partition));
  return Object.assign(messages, { reduce: () => byPartition });
}

/** What a Fetch response holds of a partition's log. */
export interface LogPart {
  /** The committed records from the wanted offset on. */
  readonly records: readonly FetchedRecord[];
  /**
   * The first and the last offset of all whole batches, also of control records and of aborted transactions, from the
   * wanted offset on. Null where the response holds no whole batch.
   */
  readonly bounds: { readonly first: bigint; readonly last: bigint } | null;
}

/** In place of all messages of a response (`rawMessages` in src/consumer/batch.js). */
export interface KafkajsMessages {
  /** batch.js:49 and :69 compare it with 0. */
  readonly length: number;
  /** batch.js:23 drops the messages before the wanted offset. */
  filter(): MessagesWithinOffset;
}

/** batch.js reads `length` (:41), the first offset (:74), the last offset (:88) and `some(…)` (:54) of it. */
type MessagesWithinOffset = readonly Bound[] & {
  /** batch.js:33 drops control records. src/consumer/filterAbortedMessages.js:37 returned the array as it is before. */
  filter(): readonly FetchedRecord[];
};

interface Bound {
  readonly offset: string;
  readonly isControlRecord: boolean;
}

/** For the constructor and the methods of kafkajs's Batch (src/consumer/batch.js). */
export function kafkajsMessages({ records, bounds }: LogPart): KafkajsMessages {
  if (bounds === null) return NO_MESSAGES;
  const isControlRecord = records.length === 0;
  const ends = [bounds.first, bounds.last].map((offset) => ({ offset: String(offset), isControlRecord }));
  const withinOffset = Object.assign(ends, { filter: () => records });
  return { length: ends.length, filter: () => withinOffset };
}

const NO_MESSAGES: KafkajsMessages = { length: 0, filter: () => Object.assign([], { filter: () => [] }) };
