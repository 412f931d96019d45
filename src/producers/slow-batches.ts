import { SlowChanges } from "../runtime/slow-changes.ts";
import type { SlowChangesOptions, Way } from "../runtime/slow-changes.ts";
import type { ChangeEvent } from "../schemas/change-event.ts";
import type { ProducerObserver, PublishTimes, ReadTimes } from "./ports.ts";

/** Most collections that a line names; the batch may have thousands. */
const NAMED = 10;

/** Logs where slow batches of the change stream spent their time. Snapshots have no commit that they could be late for. */
export function slowBatches(options: SlowChangesOptions): NonNullable<ProducerObserver["timed"]> {
  const slow = new SlowChanges(options);
  return ({ events, read }, publish) => {
    if (read === undefined || events.length === 0) return;
    const originMs = Date.now() - performance.now();
    slow.report("batch of the producer", producerWay(read, publish, originMs), () => contentsOf(events));
  };
}

/**
 * The way of a batch's oldest change from MongoDB's commit to Kafka's.
 * @param originMs `performance.now()` was 0 at this time, ms since 1970
 */
export function producerWay({ committedMs, ...read }: ReadTimes, publish: PublishTimes, originMs: number): Way {
  return {
    startedAt: committedMs,
    ends: {
      // Most reads begin before the change is committed: they wait for it.
      wait: Math.max(committedMs, originMs + read.beganAt),
      stream: originMs + read.answeredAt,
      documents: originMs + read.endedAt,
      queue: originMs + publish.beganAt,
      encode: originMs + publish.encodedAt,
      produce: originMs + publish.endedAt - publish.commitMs,
      commit: originMs + publish.endedAt,
    },
  };
}

/** How many changes of which operation in which collection, those with the most changes first. */
export function contentsOf(events: readonly Pick<ChangeEvent, "collection" | "op">[]): object {
  const counted = [...Map.groupBy(events, ({ collection }) => collection)]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([collection, own]) => ({ collection, ...countOps(own) }));
  const more = counted.length > NAMED ? { moreCollections: counted.length - NAMED } : {};
  return { changes: events.length, collections: counted.slice(0, NAMED), ...more };
}

function countOps(events: readonly Pick<ChangeEvent, "op">[]): Record<string, number> {
  const byOp = Map.groupBy(events, ({ op }) => op);
  return Object.fromEntries([...byOp].map(([op, { length }]) => [op, length]));
}
