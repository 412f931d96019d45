import type { Logger } from "../../runtime/logger.ts";
import type { LostRecords, Sink, TableName } from "../ports.ts";
import { historyLost } from "./log-bounds.ts";

export interface LostRecordsOptions {
  readonly sink: Sink;
  readonly tableOf: (topic: string) => TableName;
  /**
   * Asks the producer to copy a topic's collection anew and to delete from its table what is not in it; resolves once
   * that is stored. Null: records must not be lost.
   */
  readonly requestResync: ((topic: string) => Promise<void>) | null;
  readonly observer: { historyLost(topic: string): void };
  readonly logger: Logger;
}

/**
 * Has the collections of lost records copied anew, and moves the progress to where their logs begin. In this order: a
 * crash between asks twice, which does no harm.
 * @throws HeadraceError HISTORY_LOST_IN_KAFKA where they must not be lost
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
      "Kafka deleted records before they were applied: their collection is copied anew",
    );
    observer.historyLost(topic);
    for (const { partition, storedOffset: expectedOffset, logStart: nextOffset } of ofTopic) {
      // Fenced, somebody else has moved it.
      const batch = { topic, partition, table: tableOf(topic), expectedOffset, nextOffset, changes: [] };
      await retrying(() => sink.apply(batch));
    }
  }
}

function inLog({ topic, partition, storedOffset, logStart }: LostRecords): object {
  return { topic, partition, storedOffset: String(storedOffset), logStart: String(logStart) };
}
