import type { HeadraceError } from "../errors/error.ts";
import type { Version } from "../schemas/change-event.ts";
import type { PartitionOffset, TopicPartition } from "../schemas/partitions.ts";
import type { Change } from "../schemas/row-schema.ts";

/** A record as Kafka stores it. */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
  readonly timestampMs: number;
}

/** A record and the change that it holds. */
export interface DecodedRecord {
  readonly record: LogRecord;
  readonly change: Change;
}

/** A record that cannot be decoded. */
export interface UndecodableRecord {
  readonly record: LogRecord;
  readonly change: null;
  readonly failure: RecordFailure;
}

/** A record that becomes a dead letter. */
export interface FailedRecord {
  readonly record: LogRecord;
  /** Null where the record cannot be decoded. */
  readonly change: Change | null;
  readonly failure: RecordFailure;
}

/** When a stretch of a partition's log was fetched. */
export interface Fetch {
  /** The offset after the stretch. */
  readonly nextOffset: bigint;
  /** A time of `performance.now()`. */
  readonly at: number;
}

/** Fetched records of one partition. None of them is applied yet. */
export interface FetchedBatch extends TopicPartition {
  /** The stored offset, at which the batch starts. */
  readonly startOffset: bigint;
  /** The offset after the batch, also after its control records. */
  readonly nextOffset: bigint;
  /** In log order. Empty where the batch has only control records and records of aborted transactions. */
  readonly records: readonly LogRecord[];
  /** The end of the partition's log when the batch was fetched. */
  readonly highWatermark: bigint;
  /** The fetches that it comes from, in log order. */
  readonly fetches: readonly Fetch[];
  /** Aborts when the group takes the partition away, or when the run ends. Work that has not begun is then left. */
  readonly signal: AbortSignal;
  /** Reports that everything below `offset` is stored; the group's committed offset follows within a second. */
  commit(offset: bigint): void;
}

/** Kafka's side: one member of the consumer group. */
export interface RecordLog {
  /**
   * Reads until `signal` aborts; then resolves when the batches being applied have ended. Rejects with the first error of
   * a callback, unless that is the reason of the callback's signal, or with a HeadraceError of its own.
   */
  run(callbacks: RecordLogCallbacks, options: { signal: AbortSignal }): Promise<void>;
}

/** Records of a partition that Kafka deleted before they were applied. */
export interface LostRecords extends TopicPartition {
  readonly storedOffset: bigint;
  /** The offset at which the log now starts. */
  readonly logStart: bigint;
}

export interface RecordLogCallbacks {
  /**
   * Called with the pipeline's topics and Kafka's ids of them (null where the brokers give none), before the member joins
   * its group, and again whenever they have changed.
   */
  topicsFound(topics: ReadonlyMap<string, string | null>, signal: AbortSignal): Promise<void>;
  /**
   * Where to read from, by `partitionKey`. Called when the group assigns partitions, and after a batch that was not
   * committed.
   */
  startOffsets(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<ReadonlyMap<string, bigint>>;
  /** Replaces the lost records, or throws. Afterwards `startOffsets` is called again. */
  recordsLost(lost: readonly LostRecords[], signal: AbortSignal): Promise<void>;
  /** Called for one batch of a partition at a time; partitions run in parallel. What is not committed is read again. */
  eachBatch(batch: FetchedBatch): Promise<void>;
}

/** A stretch of one partition's log that one transaction moves the progress over. */
export interface LogStretch extends TopicPartition {
  /** The table of the topic's collection, unquoted. */
  readonly table: TableName;
  /** The offset that this consumer last stored or read for the partition. */
  readonly expectedOffset: bigint;
  /** The offset after the stretch. Control records and dead letters leave gaps between offsets. */
  readonly nextOffset: bigint;
}

/** Consecutive records of one partition, to be applied in one transaction. */
export interface MicroBatch extends LogStretch {
  /** In log order, not yet folded. */
  readonly changes: readonly Change[];
}

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** A table that has every change of its collection up to and including `version`, except for open dead letters. */
export interface Watermark {
  readonly table: TableName;
  readonly version: Version;
  /** The producer had carried out all signals before this offset. */
  readonly signals: bigint;
}

/** applied: rows and progress are committed. fenced: the progress was not the expected one; nothing was written. */
export type ApplyOutcome = "applied" | "fenced";

/** Where a dead letter's record came from. It identifies the dead letter through all its attempts. */
export interface DeadLetterOrigin extends PartitionOffset {
  /** As in `DeadLetterInfo`. */
  readonly topicId?: string | null | undefined;
}

/** replayed: it was newer than the stored state of its key. superseded: it was not; no row was changed. */
export type ReplayOutcome = "replayed" | "superseded";

/**
 * outdated: nothing is stored of its key, but it is so old that its delete may have been forgotten. Nothing was written;
 * only MongoDB knows the document's state.
 */
export type ReplayVerdict = ReplayOutcome | "outdated";

/** How a dead letter was closed. A dead letter without an outcome is open. */
export type DeadLetterOutcome = ReplayOutcome | "discarded";

/** PostgreSQL's side. Every method throws classified HeadraceErrors. */
export interface Sink {
  /** The stored next offset of each partition, by `partitionKey`. Stores `0n` for a partition that has none yet. */
  readProgress(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, bigint>>;
  /**
   * Creates or extends the table where the batch needs it, applies the batch, and moves the progress, in one
   * transaction. After a retryable error the transaction may or may not be committed: the same batch again is then
   * either `applied` or `fenced`.
   */
  apply(batch: MicroBatch): Promise<ApplyOutcome>;
  /**
   * Moves the progress past one record that is a dead letter now. A later truncate that is not newer spares the row of
   * its key. Fails as `apply` does.
   * @param change null where the record cannot be decoded
   */
  skip(stretch: LogStretch, change: Change | null): Promise<ApplyOutcome>;
  /**
   * Applies one dead letter where it is strictly newer than the stored state of its key. Holds the lock of its origin's
   * partition, and stores the outcome in the same transaction. A record that is outdated stays open.
   */
  replay(origin: DeadLetterOrigin, attempts: number, table: TableName, change: Change): Promise<ReplayVerdict>;
}

/** Which dead letters are closed, and how. PostgreSQL stores this, too. */
export interface DeadLetterOutcomes {
  /** The outcomes of the closed ones among the origins, by `identityOf`. */
  outcomesOf(origins: readonly DeadLetterOrigin[]): Promise<ReadonlyMap<string, DeadLetterOutcome>>;
  /** Closes a dead letter without applying its record. `table` is null where the table is unknown. */
  close(origin: DeadLetterOrigin, attempts: number, outcome: DeadLetterOutcome, table: TableName | null): Promise<void>;
}

/** The open dead letters without their records: it outlives what Kafka keeps. */
export interface DeadLetterArchive {
  /** As records of the dead-letter topic, in its order. Their values are null, as if each had only a key. */
  read(): Promise<readonly LogRecord[]>;
  keep(letters: readonly KeptLetter[]): Promise<void>;
  /** @param ids those of closed dead letters */
  forget(ids: readonly string[]): Promise<void>;
}

export interface KeptLetter {
  /** `identityOf` its origin. */
  readonly id: string;
  /** The topic of the collection; that of the dead letters where it is unknown. */
  readonly topic: string;
  readonly record: LogRecord;
}

/** Lets a consumer write only to tables that are still those that it has written to before. */
export interface TableAdmission {
  /**
   * Compares the pipeline's tables with what is stored about them, and settles what has changed.
   * @param topics those of the pipeline that Kafka has
   * @throws HeadraceError TABLE_OF_OTHER_PIPELINE, TABLE_OF_OTHER_SOURCE, TOPIC_DELETED, TOPIC_RECREATED
   */
  admit(topics: readonly string[]): Promise<void>;
  /** The same with the topics of the last `admit`. */
  again(): Promise<void>;
}

/** Writes records that cannot be applied to the dead-letter topic. */
export interface DeadLetterWriter {
  /** Resolves when Kafka has acknowledged the record. */
  write(record: LogRecord, failure: Failure): Promise<void>;
}

/** Reads the dead-letter topic. Headrace creates it with one partition. */
export interface DeadLetterReader {
  /**
   * Visits the records of a range, one after the other. Rejects with the error that `visit` throws, with the signal's
   * reason, or with a HeadraceError.
   */
  scan(visit: (record: LogRecord) => Promise<void> | void, options: DeadLetterRange): Promise<void>;
  /** The offset after the newest record of partition 0, to which the producer writes. @throws HeadraceError */
  end(): Promise<bigint>;
}

export interface DeadLetterRange {
  readonly signal: AbortSignal;
  /** The first offset to visit in each partition. Default: the start of its log. */
  readonly from?: bigint | undefined;
  /** The offset after the last one to visit in each partition. Default: its end at the call. */
  readonly to?: bigint | undefined;
}

export interface RecordFailure {
  /** Of kind poison. */
  readonly error: HeadraceError;
  /** Kafka Connect's name for the step that failed. */
  readonly stage: "KEY_CONVERTER" | "VALUE_CONVERTER" | "TASK_PUT";
}

export interface Failure extends RecordFailure {
  readonly table: TableName | null;
  /** As in `DeadLetterInfo`. */
  readonly topicId?: string | null | undefined;
  /** How often applying the record was tried, including this time. */
  readonly attempts: number;
}

/** When a micro-batch was applied. Times of `performance.now()`. */
export interface ApplyTimes {
  readonly beganAt: number;
  readonly decodedAt: number;
  readonly endedAt: number;
}

/** Hears what a consumer has done, for metrics and the live line. */
export interface ConsumerObserver {
  historyLost(topic: string): void;
  applied(batch: FetchedBatch, records: number, nextOffset: bigint): void;
  /** How long applying a micro-batch took. Called when it is committed. */
  timed?(batch: FetchedBatch, records: readonly (DecodedRecord | UndecodableRecord)[], times: ApplyTimes): void;
  deadLettered(record: LogRecord, error: HeadraceError): void;
}

/** How users name a dead letter. */
export function originKey({ topic, partition, offset }: PartitionOffset): string {
  return `${topic}/${partition}/${offset}`;
}

/** The same, told apart from that of another incarnation of the topic. */
export function identityOf(origin: DeadLetterOrigin): string {
  const { topicId } = origin;
  return typeof topicId === "string" ? `${originKey(origin)}@${topicId}` : originKey(origin);
}
