import type { Logger } from "../../runtime/logger.ts";
import type { LostRecords, Sink, TableName } from "../ports.ts";
import { historyLost } from "./log-bounds.ts";

export interface LostRecordsOptions {
  readonly sink: Sink;
  readonly tableOf: (topic: string) => TableName;
  /**
   * Requests a new copy of a topic's collection, after which rows without a document are deleted. Resolves when Kafka has
   * stored the request. Null: lost records stop the consumer.
   */
  readonly requestResync: ((topic: string) => Promise<void>) | null;
  readonly observer: { historyLost(topic: string): void };
  readonly logger: Logger;
}

/**
 * Requests new copies of the collections whose records are lost, then moves the progress to the start of their logs. A
 * crash between the two repeats the request, which does no harm.
 * @throws HeadraceError HISTORY_LOST_IN_KAFKA where lost records stop the consumer
 */
export async function replaceLost(
  lost: readonly LostRecords[],
  { sink, tableOf, requestResync, observer, logger }: LostRecordsOptions,
  retrying: <T>(step: () => Promise<T>) => Promise<T>,
): Promise<void> {
  for (const [topic, ofTopic] of Map.groupBy(lost, (each) => each.topic)) {
    const [first] = ofTopic;
    if (requestResync === null && first !== undefined) throw historyLost(first);
    await retrying(async () => requestResync?.(topic));
    logger.warn(
      { lost: ofTopic.map(inLog) },
      "Kafka deleted records before they were applied; the producer will copy their collection again",
    );
    observer.historyLost(topic);
    for (const { partition, storedOffset: expectedOffset, logStart: nextOffset } of ofTopic) {
      // Where it is fenced, another member of the group has moved the progress.
      const batch = { topic, partition, table: tableOf(topic), expectedOffset, nextOffset, changes: [] };
      await retrying(() => sink.apply(batch));
    }
  }
}

function inLog({ topic, partition, storedOffset, logStart }: LostRecords): object {
  return { topic, partition, storedOffset: String(storedOffset), logStart: String(logStart) };
}
