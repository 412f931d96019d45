import type { ChangeEvent, Position } from "../schemas/change-event.ts";
import type { Signal } from "../schemas/signal.ts";

/** Some events and the position after them. `events` may be empty: an idle stream's position moves too. */
export interface SourceBatch {
  readonly events: readonly ChangeEvent[];
  readonly position: Position;
}

/** MongoDB's side: the snapshot and the change stream as one sequence. */
export interface ChangeSource {
  /**
   * Goes on after `from`, or begins a new pipeline where it is null. Ends when `signal` aborts, or when
   * there is nothing more to do (snapshot mode `only`, or a given end time was passed).
   */
  read(from: Position | null, options: { signal: AbortSignal }): AsyncIterable<SourceBatch>;
}

/** What operators ask of the producer, in order. */
export interface SignalLog {
  /** Opens it at an offset, or at its start where that is gone. */
  open(offset: bigint): Promise<OpenSignals>;
}

export interface OpenSignals {
  /** Where it was opened. */
  readonly start: bigint;
  /** Where it ended then. */
  readonly end: bigint;
  /** The next one, from the start on; null while there is none. @throws HeadraceError when they cannot be read any more */
  take(): LoggedSignal | null;
  /** Resolves when `take` has something to give or to throw; a call ends the waiting of the one before. */
  arrival(): Promise<void>;
  close(): Promise<void>;
}

export interface LoggedSignal {
  readonly offset: bigint;
  /** Null: the record is none, or one that cannot be carried out. */
  readonly signal: Signal | null;
}

/** Kafka's side: one session, that is one fenced transactional producer with the position it found. */
export interface Session {
  /** The last committed position of this pipeline; null when there is none. */
  readonly position: Position | null;
  /** Publishes the events and the position after them in one transaction. Any error ends the session. */
  publish(events: readonly ChangeEvent[], position: Position): Promise<void>;
  /** Frees what the session holds. After a good end, readers see all that was published when it resolves. */
  close(): Promise<void>;
}

export type OpenSession = (options: { signal: AbortSignal }) => Promise<Session>;

/** Where a collection's records go. */
export interface CollectionTopic {
  readonly topic: string;
  readonly partitions: number;
}

/** The topics of the pipeline's collections. */
export interface TopicCatalog {
  /** Makes the topic where it is missing; a collection may be new. */
  topicOf(collection: string): Promise<CollectionTopic>;
  /** Asks again how large a record may be, as an operator may have raised it. */
  refreshLimits(): Promise<void>;
}

/** What a producer tells about its work, for metrics and status. Names of things only, never a document's value. */
export interface ProducerObserver {
  /** Committed to Kafka. */
  published?(batch: SourceBatch): void;
  /** Changes are missing, and everything is copied anew. */
  historyLost?(): void;
  /** From time to time. */
  oplog?(report: OplogReport): void;
  /** A value did not fit its column and stays in `_extra`, or was changed to be written. */
  misfit?(collection: string, column: string): void;
  /** A record could not be made, and its key goes to the dead letters. */
  deadLetter?(collection: string, code: string): void;
}

export interface OplogReport {
  /** How long what the oplog holds lasts; null: the user may not read it. */
  readonly windowMs: number | null;
  /** How much older than the newest write the committed position is. */
  readonly positionAgeMs: number;
}
