import type { ChangeEvent, Position } from "../schemas/change-event.ts";
import type { Signal } from "../schemas/signal.ts";

/** Some events and the position after them. `events` may be empty: the position of an idle stream moves, too. */
export interface SourceBatch {
  readonly events: readonly ChangeEvent[];
  readonly position: Position;
  /** Undefined where the events are not from the change stream. */
  readonly read?: ReadTimes | undefined;
  /** To be called when the transaction with the position begins to commit. */
  readonly onCommitting?: () => void;
}

/** When the changes of a batch were read. The times are those of `performance.now()`, unless they say otherwise. */
export interface ReadTimes {
  /** When the oldest change was committed, by MongoDB's clock, ms since 1970. */
  readonly committedMs: number;
  readonly beganAt: number;
  /** When MongoDB had answered with the changes. The documents of updates are read after that. */
  readonly answeredAt: number;
  readonly endedAt: number;
}

/** When a batch was published. Times of `performance.now()`. */
export interface PublishTimes {
  readonly beganAt: number;
  readonly encodedAt: number;
  /** How long the commits of the batch's transactions took, ms. */
  readonly commitMs: number;
  readonly endedAt: number;
}

/** MongoDB's side: the snapshots and the change stream as one sequence. */
export interface ChangeSource {
  /**
   * Reads on after `from`; null begins a new pipeline. Ends when `signal` aborts, or when everything is read (snapshot
   * mode `only`, or a given end time).
   */
  read(from: Position | null, options: { signal: AbortSignal }): AsyncIterable<SourceBatch>;
}

/** The signals that operators send to the producer, in order. */
export interface SignalLog {
  /** Opens the log at an offset. */
  open(offset: bigint): Promise<OpenSignals>;
}

export interface OpenSignals {
  /** The end of the log when it was opened. */
  readonly end: bigint;
  /** The next signal; null while there is none. @throws HeadraceError if the log cannot be read any more */
  take(): LoggedSignal | null;
  /** Resolves when `take` has something to return or to throw. Each call replaces the call before. */
  arrival(): Promise<void>;
  close(): Promise<void>;
}

export interface LoggedSignal {
  readonly offset: bigint;
  /** Null: the record is no valid signal. */
  readonly signal: Signal | null;
}

/** Kafka's side: a session is one fenced transactional producer, with the position that it found. */
export interface Session {
  /** The last committed position of this pipeline; null if there is none. */
  readonly position: Position | null;
  /** Publishes the events and the position after them in one transaction. Any error ends the session. */
  publish(batch: SourceBatch): Promise<void>;
  /** Frees the session's connections. If no publish has failed, readers see everything published when it resolves. */
  close(): Promise<void>;
}

export type OpenSession = (options: { signal: AbortSignal }) => Promise<Session>;

/** The topic of a collection's records. */
export interface CollectionTopic {
  readonly topic: string;
  readonly partitions: number;
  /** As in `CollectionIdentity`. */
  readonly topicId: string | null;
  /** Whether this process has created it. Then nobody has applied a record of it. */
  readonly isNew: boolean;
}

/** The topics of the pipeline's collections. */
export interface TopicCatalog {
  /** Kafka's id of the dead-letter topic; null if the brokers give none. */
  readonly deadLetterTopicId: string | null;
  /** Creates the topic if it does not exist, as for a new collection. */
  topicOf(collection: string): Promise<CollectionTopic>;
  /** Reads again how large a record may be: an operator may have raised the limit. */
  refreshLimits(): Promise<void>;
}

/** Learns about the producer's work, for metrics and status. It gets names only, never a value of a document. */
export interface ProducerObserver {
  /** The batch is committed to Kafka. */
  published?(batch: SourceBatch): void;
  /** How long publishing the batch took. */
  timed?(batch: SourceBatch, times: PublishTimes): void;
  /** Changes are lost, and all collections are copied again. */
  historyLost?(): void;
  /** Called regularly. */
  oplog?(report: OplogReport): void;
  /** Kafka aborted a transaction because it took too long. The next ones are smaller. */
  transactionTooSlow?(): void;
  /** A value did not fit its column and stays in `_extra`, or was changed so that it fits. */
  misfit?(collection: string, column: string): void;
  /** A document could not be encoded, and its key goes to the dead letters. */
  deadLetter?(collection: string, code: string): void;
}

export interface OplogReport {
  /** The time between the oplog's first and last entry, ms; null if the user may not read the oplog. */
  readonly windowMs: number | null;
  /** How much older than the newest write the committed position is, ms. */
  readonly positionAgeMs: number;
}
