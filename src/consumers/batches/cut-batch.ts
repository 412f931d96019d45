import { TRUNCATE_KEY } from "../../schemas/topics.ts";
import type { LogRecord } from "../ports.ts";

/** Where a micro-batch ends at the latest. A single larger record is a micro-batch of its own. */
export interface MicroBatchLimits {
  readonly maxRows: number;
  /** Of keys and values as they stand in Kafka. */
  readonly maxBytes: number;
}

export interface Piece {
  readonly records: readonly LogRecord[];
  readonly nextOffset: bigint;
}

/**
 * Cuts a partition's fetched records into micro-batches without a gap between them. A truncate begins one: what stands
 * before it, a new snapshot perhaps, is in the table before that is swept. A batch without records is one empty piece:
 * its control records too have to be passed.
 */
export function* cutBatch(
  records: readonly LogRecord[],
  nextOffset: bigint,
  { maxRows, maxBytes }: MicroBatchLimits,
): Generator<Piece> {
  let start = 0;
  let bytes = 0;
  for (const [index, record] of records.entries()) {
    const size = (record.key?.length ?? 0) + (record.value?.length ?? 0);
    const isFull = index - start >= maxRows || bytes + size > maxBytes;
    if (index > start && (isFull || record.key?.equals(TRUNCATE_KEY) === true)) {
      yield { records: records.slice(start, index), nextOffset: record.offset };
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  yield { records: records.slice(start), nextOffset };
}
