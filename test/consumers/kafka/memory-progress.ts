import { historyLost } from "../../../src/consumers/batches/log-bounds.ts";
import type { FetchedBatch, LogRecord, LostRecords, RecordLogCallbacks } from "../../../src/consumers/ports.ts";
import { partitionKey } from "../../../src/schemas/partitions.ts";
import type { TopicPartition } from "../../../src/schemas/partitions.ts";

/** The stored offsets of a RecordLog's test, with what was received. Only for tests of the Kafka side. */
export class MemoryProgress implements RecordLogCallbacks {
  readonly offsets = new Map<string, bigint>();
  readonly received: LogRecord[] = [];
  /** How often start offsets were asked for. */
  starts = 0;
  /** Replaces what is done with a batch before it is stored. */
  work: (batch: FetchedBatch) => Promise<void> = () => Promise.resolve();

  topicsFound = (): Promise<void> => Promise.resolve();

  startOffsets = (
    partitions: readonly TopicPartition[],
    _signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, bigint>> => {
    this.starts += 1;
    return Promise.resolve(new Map(partitions.map((each) => [partitionKey(each), this.offset(each)])));
  };

  eachBatch = async (batch: FetchedBatch): Promise<void> => {
    await this.work(batch);
    // The fence: somebody else has moved the offset.
    if (this.offset(batch) !== batch.startOffset) return;
    this.received.push(...batch.records);
    this.offsets.set(partitionKey(batch), batch.nextOffset);
    batch.commit(batch.nextOffset);
  };

  recordsLost = async ([first]: readonly LostRecords[]): Promise<void> => {
    if (first !== undefined) throw historyLost(first);
  };

  offset(partition: TopicPartition): bigint {
    return this.offsets.get(partitionKey(partition)) ?? 0n;
  }

  values(): string[] {
    return this.received.map(({ value }) => String(value));
  }
}
