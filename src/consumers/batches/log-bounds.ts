import { HeadraceError } from "../../errors/error.ts";
import type { LogBounds, TopicPartition } from "../../schemas/partitions.ts";
import type { LostRecords } from "../ports.ts";

/**
 * A stored offset must lie within the log; Kafka's clients would silently go on at one of its ends.
 * @returns what is lost below the log's start; null: nothing
 * @throws HeadraceError TOPIC_RECREATED
 */
export function lostRecords(partition: TopicPartition, offset: bigint, bounds: LogBounds): LostRecords | null {
  if (offset > bounds.high) throw topicRecreated(partition, offset, bounds);
  if (offset >= bounds.low) return null;
  return { topic: partition.topic, partition: partition.partition, storedOffset: offset, logStart: bounds.low };
}

export function historyLost({ topic, partition, storedOffset, logStart }: LostRecords): HeadraceError {
  return new HeadraceError("HISTORY_LOST_IN_KAFKA", {
    message: `Topic ${topic}, partition ${partition} begins at offset ${logStart}, but is applied only up to ${storedOffset}: the records between are gone.`,
    details: {
      topic,
      partition: String(partition),
      storedOffset: String(storedOffset),
      logStart: String(logStart),
    },
  });
}

function topicRecreated({ topic, partition }: TopicPartition, offset: bigint, { low, high }: LogBounds): HeadraceError {
  const name = topic.replaceAll("'", "''");
  const update = `UPDATE headrace.progress SET next_offset = ${low} WHERE topic = '${name}' AND partition = ${partition};`;
  return new HeadraceError("TOPIC_RECREATED", {
    message: `Topic ${topic}, partition ${partition} ends at offset ${high}, but ${offset} was applied already: the topic was made anew, lost records, or is another Kafka's.`,
    remedy: `Check that this is the right Kafka. If the topic was made anew or has lost records, have its collection copied anew (headrace resync), and let the consumer read the topic from its start: ${update}`,
    details: { topic, partition: String(partition), storedOffset: String(offset), logEnd: String(high) },
  });
}
