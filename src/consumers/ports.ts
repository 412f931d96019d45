import type { Change } from "../schemas/row-schema.ts";

/** A record as it stands in Kafka. */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
  readonly timestampMs: number;
}

/** A record with what it says, or with why that could not be read. Kafka tombstones are left out before. */
export interface DecodedRecord {
  readonly record: LogRecord;
  readonly change: Change;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Consecutive records of one partition, to be applied in one transaction. */
export interface MicroBatch extends TopicPartition {
  /** The table that the topic's collection is kept in, unquoted. */
  readonly table: TableName;
  /** The offset that this consumer last stored or read for the partition. */
  readonly expectedOffset: bigint;
  /** The offset after the batch: control records and dead letters leave gaps. */
  readonly nextOffset: bigint;
  /** In log order, not yet folded. */
  readonly changes: readonly Change[];
}

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** applied: rows and progress are committed. fenced: the progress was not the expected one, nothing was done. */
export type ApplyOutcome = "applied" | "fenced";

/** A dead letter's place of origin and version, for replays. */
export interface DeadLetterOrigin extends TopicPartition {
  readonly offset: bigint;
}

export type ReplayOutcome = "replayed" | "superseded";

/** PostgreSQL's side. Every method throws HeadraceError, classified. */
export interface Sink {
  /** The stored next offset of each partition; `0n` is stored for a partition that has none yet. */
  readProgress(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, bigint>>;
  /** Creates or extends what the batch needs, applies it, and moves the progress, in one transaction. */
  apply(batch: MicroBatch): Promise<ApplyOutcome>;
  /**
   * Applies one dead letter where it is strictly newer than what is known of its key, under the lock of its
   * origin's partition, and writes its outcome in the same transaction.
   */
  replay(origin: DeadLetterOrigin, attempts: number, table: TableName, change: Change): Promise<ReplayOutcome>;
}

/** Where records go that can't be applied. Resolves when Kafka has acknowledged. */
export interface DeadLetterWriter {
  write(record: LogRecord, failure: Failure): Promise<void>;
}

export interface Failure {
  readonly error: unknown;
  readonly stage: "KEY_CONVERTER" | "VALUE_CONVERTER" | "TASK_PUT";
  readonly table: TableName | null;
  /** How often applying it was tried, this time included. */
  readonly attempts: number;
}

/** The key of a partition in maps. */
export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
