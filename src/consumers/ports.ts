import type { Version } from "../schemas/change-event.ts";
import type { PartitionOffset, TopicPartition } from "../schemas/partitions.ts";
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

/** A record with what it says. Kafka tombstones are left out before. */
export interface DecodedRecord {
  readonly record: LogRecord;
  readonly change: Change;
}

/** A record that could not be read. */
export interface UndecodableRecord {
  readonly record: LogRecord;
  readonly failure: RecordFailure;
}

/** What was fetched of one partition and not applied yet. */
export interface FetchedBatch extends TopicPartition {
  /** The stored offset that the records follow. */
  readonly startOffset: bigint;
  /** The offset after the batch, control records included. */
  readonly nextOffset: bigint;
  /** In log order; none where all of them were control records or aborted. */
  readonly records: readonly LogRecord[];
  /** The end of the partition's log when the batch was fetched. */
  readonly highWatermark: bigint;
  /** Aborts when the partition is taken away or the run ends: what is not begun is left to whoever reads next. */
  readonly signal: AbortSignal;
  /** Says that everything below `offset` is stored: the group's offset follows soon. */
  commit(offset: bigint): void;
}

/** Kafka's side: one member of the consumer group. */
export interface RecordLog {
  /**
   * Reads until `signal` aborts, and then resolves once the batches in work have ended. Rejects with the first
   * error of a callback that is not the reason of the signal it was given, or with a HeadraceError of its own.
   */
  run(callbacks: RecordLogCallbacks, options: { signal: AbortSignal }): Promise<void>;
}

/** Records of a partition that Kafka deleted before they were applied. */
export interface LostRecords extends TopicPartition {
  readonly storedOffset: bigint;
  /** Where the log begins now. */
  readonly logStart: bigint;
}

export interface RecordLogCallbacks {
  /** Where to read on, by `partitionKey`: asked when partitions are assigned, and when a batch was left uncommitted. */
  startOffsets(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<ReadonlyMap<string, bigint>>;
  /** Makes good what is lost, or throws. Then the start offsets are asked for again. */
  recordsLost(lost: readonly LostRecords[], signal: AbortSignal): Promise<void>;
  /** One batch of a partition at a time, partitions in parallel. What it does not commit is read again. */
  eachBatch(batch: FetchedBatch): Promise<void>;
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
  /** One that could not be applied, and is in the DLQ: of its key, a truncate that is not newer leaves the row. */
  readonly buried?: Change | undefined;
}

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** A table that has every change of its collection up to `version`, this included, but for open dead letters. */
export interface Watermark {
  readonly table: TableName;
  readonly version: Version;
}

/** applied: rows and progress are committed. fenced: the progress was not the expected one, nothing was done. */
export type ApplyOutcome = "applied" | "fenced";

/** A dead letter's place of origin; it names the dead letter, however often it came back. */
export type DeadLetterOrigin = PartitionOffset;

/** replayed: it was newer than what was known of its key. superseded: it was not, and nothing was changed. */
export type ReplayOutcome = "replayed" | "superseded";

/** How a dead letter was closed. One that has no outcome is open. */
export type DeadLetterOutcome = ReplayOutcome | "discarded";

/** PostgreSQL's side. Every method throws HeadraceError, classified. */
export interface Sink {
  /** The stored next offset of each partition, by `partitionKey`; `0n` is stored for a partition that has none yet. */
  readProgress(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, bigint>>;
  /**
   * Creates or extends what the batch needs, applies it, and moves the progress, in one transaction. After a
   * retryable error it is not known whether that transaction was committed: the same batch again is either
   * applied or, when it had been, `fenced`.
   */
  apply(batch: MicroBatch): Promise<ApplyOutcome>;
  /**
   * Applies one dead letter where it is strictly newer than what is known of its key, under the lock of its
   * origin's partition, and writes its outcome in the same transaction.
   */
  replay(origin: DeadLetterOrigin, attempts: number, table: TableName, change: Change): Promise<ReplayOutcome>;
}

/** Which dead letters are closed, and how. PostgreSQL's side too. */
export interface DeadLetterOutcomes {
  /** The outcomes of those of the origins that are closed, by `originKey`. */
  outcomesOf(origins: readonly DeadLetterOrigin[]): Promise<ReadonlyMap<string, DeadLetterOutcome>>;
  /** Closes a dead letter without applying its record. `table` is null where that does not tell. */
  close(origin: DeadLetterOrigin, attempts: number, outcome: DeadLetterOutcome, table: TableName | null): Promise<void>;
}

/** Where records go that can't be applied. Resolves when Kafka has acknowledged. */
export interface DeadLetterWriter {
  write(record: LogRecord, failure: Failure): Promise<void>;
}

/** Reads the DLQ. */
export interface DeadLetterReader {
  /**
   * Visits every record from the DLQ's start to the end that it has at the call, one after the other. Rejects with
   * what `visit` throws, with the signal's reason, or with HeadraceError.
   */
  scan(visit: (record: LogRecord) => Promise<void>, options: { signal: AbortSignal }): Promise<void>;
}

export interface RecordFailure {
  readonly error: unknown;
  readonly stage: "KEY_CONVERTER" | "VALUE_CONVERTER" | "TASK_PUT";
}

export interface Failure extends RecordFailure {
  readonly table: TableName | null;
  /** How often applying it was tried, this time included. */
  readonly attempts: number;
}

/** The key of a dead letter in maps. */
export function originKey({ topic, partition, offset }: DeadLetterOrigin): string {
  return `${topic}/${partition}/${offset}`;
}
