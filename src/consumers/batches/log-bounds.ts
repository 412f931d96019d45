import { HeadraceError } from "../../errors/error.ts";
import type { LogBounds, TopicPartition } from "../../schemas/partitions.ts";
import type { LostRecords } from "../ports.ts";

/**
 * Checks that a stored offset lies within the partition's log. Kafka's clients do not: they silently continue at the
 * log's start or end.
 * @param topicId Kafka's id of the topic; null if the brokers give none
 * @returns the records lost below the log's start; null where none are lost
 * @throws HeadraceError TOPIC_RECREATED where the offset is behind the log's end
 */
export function lostRecords(
  partition: TopicPartition,
  offset: bigint,
  bounds: LogBounds,
  topicId: string | null,
): LostRecords | null {
  if (offset > bounds.high) throw topicRecreated(partition, offset, bounds, topicId);
  if (offset >= bounds.low) return null;
  return { topic: partition.topic, partition: partition.partition, storedOffset: offset, logStart: bounds.low };
}

export function historyLost({ topic, partition, storedOffset, logStart }: LostRecords): HeadraceError {
  return new HeadraceError("HISTORY_LOST_IN_KAFKA", {
    message: `Topic ${topic}, partition ${partition} begins at offset ${logStart}, but Headrace has applied it only up to offset ${storedOffset}. Kafka deleted the records between.`,
    details: {
      topic,
      partition: String(partition),
      storedOffset: String(storedOffset),
      logStart: String(logStart),
    },
  });
}

function topicRecreated(
  { topic, partition }: TopicPartition,
  offset: bigint,
  { low, high }: LogBounds,
  topicId: string | null,
): HeadraceError {
  const where = `topic = '${topic.replaceAll("'", "''")}' AND partition = ${partition}`;
  // New records get offsets that closed dead letters of the same id had: they would count as closed, too.
  const reused =
    topicId === null ? "topic_id = ''" : `topic_id = '${topicId.replaceAll("'", "''")}' AND "offset" >= ${high}`;
  const statements = `BEGIN; UPDATE headrace.progress SET next_offset = ${low} WHERE ${where}; DELETE FROM headrace.dead_letters WHERE ${where} AND ${reused}; COMMIT;`;
  return new HeadraceError("TOPIC_RECREATED", {
    message: `Topic ${topic}, partition ${partition} ends at offset ${high}, but Headrace has applied it up to offset ${offset}. The topic was created again, has lost records, or is in another Kafka.`,
    remedy: `Check that kafka.brokers names the right Kafka. If the topic was created again or has lost records, run this SQL, start the consumer, and copy the collection again with headrace resync: ${statements}`,
    details: { topic, partition: String(partition), storedOffset: String(offset), logEnd: String(high) },
  });
}
