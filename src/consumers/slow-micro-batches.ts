import { SlowChanges } from "../runtime/slow-changes.ts";
import type { SlowChangesOptions, Way } from "../runtime/slow-changes.ts";
import { committedByMs } from "../schemas/change-event.ts";
import type { ApplyTimes, ConsumerObserver, DecodedRecord, FetchedBatch, UndecodableRecord } from "./ports.ts";

/** Logs where slow micro-batches spent their time. Records of snapshots and truncates have no commit to be late for. */
export function slowMicroBatches(options: SlowChangesOptions): NonNullable<ConsumerObserver["timed"]> {
  const slow = new SlowChanges(options);
  return (batch, records, times) => {
    const first = records.find(isOfStream);
    if (first === undefined) return;
    const originMs = Date.now() - performance.now();
    const { topic, partition } = batch;
    const { offset } = first.record;
    const contents = { topic, partition, offset: String(offset), changes: records.length };
    slow.report("micro-batch of the consumer", consumerWay(batch, first, times, originMs), () => contents);
  };
}

/**
 * The way of a change from MongoDB's commit to PostgreSQL's.
 * @param originMs `performance.now()` was 0 at this time, ms since 1970
 */
export function consumerWay(
  { fetches }: Pick<FetchedBatch, "fetches">,
  { record, change }: Pick<DecodedRecord, "record" | "change">,
  times: ApplyTimes,
  originMs: number,
): Way {
  const fetch = fetches.find(({ nextOffset }) => record.offset < nextOffset);
  return {
    startedAt: committedByMs(change.version, record.timestampMs),
    ends: {
      producer: record.timestampMs,
      kafka: originMs + (fetch?.at ?? times.beganAt),
      queue: originMs + times.beganAt,
      decode: originMs + times.decodedAt,
      postgres: originMs + times.endedAt,
    },
  };
}

function isOfStream(record: DecodedRecord | UndecodableRecord): record is DecodedRecord {
  return record.change !== null && record.change.op !== "r" && record.change.op !== "t";
}
