import { mayBeTruncate } from "../../schemas/topics.ts";
import type { LogRecord } from "../ports.ts";

/** The limits of a micro-batch. A single record above `maxBytes` is a micro-batch of its own. */
export interface MicroBatchLimits {
  readonly maxRows: number;
  /** Of keys and values, as Kafka stores them. */
  readonly maxBytes: number;
}

/** The records of one micro-batch. */
export interface Slice {
  readonly records: readonly LogRecord[];
  /** The offset after it. */
  readonly nextOffset: bigint;
}

/**
 * Cuts a partition's fetched records into slices without gaps. A truncate starts a slice: the records before it, maybe
 * a new snapshot, must be in the table before the sweep. A batch without records is one empty slice: the progress must
 * move past its control records.
 */
export function* cutBatch(
  records: readonly LogRecord[],
  nextOffset: bigint,
  { maxRows, maxBytes }: MicroBatchLimits,
): Generator<Slice> {
  let start = 0;
  let bytes = 0;
  for (const [index, record] of records.entries()) {
    const size = (record.key?.length ?? 0) + (record.value?.length ?? 0);
    const isFull = index - start >= maxRows || bytes + size > maxBytes;
    if (index > start && (isFull || mayBeTruncate(record.key))) {
      yield { records: records.slice(start, index), nextOffset: record.offset };
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  yield { records: records.slice(start), nextOffset };
}
