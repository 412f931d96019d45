import { HeadraceError } from "../runtime/errors.ts";
import type { TopicPartition } from "./ports.ts";

/** What the log of a partition holds: from `low` on, below `high`. */
export interface LogBounds {
  readonly low: bigint;
  readonly high: bigint;
}

/**
 * A stored offset must lie within the log; Kafka's clients would silently go on at one of its ends.
 * @throws HeadraceError HISTORY_LOST_IN_KAFKA, TOPIC_RECREATED
 */
export function checkStartOffset(partition: TopicPartition, offset: bigint, bounds: LogBounds): void {
  const { low, high } = bounds;
  if (offset < low) throw historyLost(partition, offset, low);
  if (offset > high) throw topicRecreated(partition, offset, bounds);
}

function historyLost({ topic, partition }: TopicPartition, offset: bigint, low: bigint): HeadraceError {
  return new HeadraceError("HISTORY_LOST_IN_KAFKA", {
    message: `Topic ${topic}, partition ${partition} begins at offset ${low}, but is applied only up to ${offset}: the records between are gone.`,
    remedy: `Have a new snapshot of the collection taken, which fills the gap, and then let the consumer go on: ${setProgress(topic, partition, low)} Give the topic a longer retention.`,
    details: { topic, partition: String(partition), storedOffset: String(offset), logStart: String(low) },
  });
}

function topicRecreated({ topic, partition }: TopicPartition, offset: bigint, { low, high }: LogBounds): HeadraceError {
  return new HeadraceError("TOPIC_RECREATED", {
    message: `Topic ${topic}, partition ${partition} ends at offset ${high}, but ${offset} was applied already: the topic was made anew, lost records, or is another Kafka's.`,
    remedy: `Check that this is the right Kafka. If the topic was made anew, have a new snapshot of the collection taken and then read it from its start: ${setProgress(topic, partition, low)}`,
    details: { topic, partition: String(partition), storedOffset: String(offset), logEnd: String(high) },
  });
}

function setProgress(topic: string, partition: number, offset: bigint): string {
  const name = topic.replaceAll("'", "''");
  return `UPDATE headrace.progress SET next_offset = ${offset} WHERE topic = '${name}' AND partition = ${partition};`;
}
