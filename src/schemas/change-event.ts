/** Debezium's letters. c: insert, u: update or replace, d: delete, r: read by a snapshot, t: truncate. */
export type Operation = "c" | "u" | "d" | "r" | "t";

/**
 * The cluster time of an event: its document is exactly as it was at this time. `seconds << 32 | increment`, which fits
 * into PostgreSQL's bigint until 2038.
 */
export type Version = bigint;

/** A change from the producer's source, still in BSON. */
export type ChangeEvent = DocumentEvent | TruncateEvent;

export interface DocumentEvent {
  readonly op: Exclude<Operation, "t">;
  readonly collection: string;
  /** A raw BSON document with the `_id`: the event's documentKey, or the document itself. */
  readonly documentKey: Uint8Array;
  /**
   * The whole document in raw BSON, exactly as it was at `version`. Null if op is d. Null with another op means that
   * the document could not be read by its `_id`; the event becomes a dead letter.
   */
  readonly document: Uint8Array | null;
  readonly version: Version;
  /** The dead letter that this event closes, unless it fails again. */
  readonly deadLetter?: RepeatedDeadLetter | undefined;
  /** What the snapshot of an event of op r says of it; undefined: nothing. */
  readonly snapshot?: SnapshotMark | undefined;
}

/**
 * Debezium's words. `last_in_data_collection`: the last document of a collection's snapshot. `last`: the same, and no other
 * snapshot is running. `incremental`: read for a signal that names documents.
 */
export type SnapshotMark = "last_in_data_collection" | "last" | "incremental";

/** A dead letter of the producer whose document is read again. */
export interface RepeatedDeadLetter {
  /** Offset in the DLQ of the first dead letter of this document. */
  readonly offset: bigint;
  /** Number of earlier attempts. */
  readonly attempts: number;
}

export interface TruncateEvent {
  readonly op: "t";
  readonly collection: string;
  readonly version: Version;
}

/** How far the producer has come. A stored position is a checkpoint. */
export interface Position {
  /** `_data` of the change stream's resume token. Null if only the time is known, at the start of a pipeline. */
  readonly resumeToken: string | null;
  /** The cluster time of the token. Without the token, the stream can be reopened at this time, inclusive. */
  readonly clusterTime: Version;
  /** Whether all events of `clusterTime` are published. Otherwise part of one MongoDB transaction may be missing. */
  readonly isWhole?: boolean | undefined;
  /**
   * The time of the newest event that the stream has read; undefined before the first, and in positions of version 0.1.0.
   * A MongoDB whose oplog covers this time without an event there has been restored from an older backup.
   */
  readonly lastEvent?: Version | undefined;
  /** The MongoDB cluster of the token. */
  readonly cluster: string;
  /** The MongoDB database. Undefined in positions of version 0.1.0. */
  readonly database?: string | undefined;
  /**
   * Keys may have been published as of this time: the highest time at which an old backlog was resolved, or the end of
   * a batch that was published in parts; 0 if there was neither. Batches are resolved until the stream has passed it.
   */
  readonly horizon: Version;
  /** The snapshot of each collection. Collections without an entry have had none. */
  readonly snapshots: ReadonlyMap<string, SnapshotState>;
  readonly signals: SignalsPosition;
  /** As in `CollectionIdentity`, of the signals topic. Undefined in positions of version 0.1.0. */
  readonly signalsTopicId?: string | null | undefined;
  /** The collections that cannot be replicated, with the reason. Undefined: none is known. */
  readonly leftOut?: ReadonlyMap<string, string> | undefined;
  /**
   * What the collections of `snapshots` were when the position was stored. Positions of version 0.1.0 have none of them;
   * a collection that was found since the last start may be missing.
   */
  readonly identities?: ReadonlyMap<string, CollectionIdentity> | undefined;
}

/** Tells whether a collection's topic and mapping are still those that were used before. */
export interface CollectionIdentity {
  /** Kafka's id of the topic, which a topic that is created again does not have. Null: the brokers give no ids. */
  readonly topicId: string | null;
  /** `mappingFingerprint` of the collection's mapping. */
  readonly mapping: string;
}

export type SnapshotState =
  | RunningSnapshot
  | { readonly state: "done"; /** Time of its last chunk. */ readonly at: Version };

export interface RunningSnapshot {
  readonly state: "running";
  /** Canonical Extended JSON of `{_id}` of the document that was read last; null before the first chunk. */
  readonly after: string | null;
  /**
   * At the end of the snapshot, a truncate of this version is published. It removes the rows of documents that were
   * deleted without an event. Null: no truncate.
   */
  readonly sweepBelow: Version | null;
}

/** How far the producer has come in the signals topic. */
export interface SignalsPosition {
  /** Offset of the current signal, whose content is read again after a restart. Without one, of the next signal. */
  readonly offset: bigint;
  /** The progress of the current signal: like `RunningSnapshot.after`, or the count of ids that are done. */
  readonly after: string | null;
}

/** A snapshot that has not read anything yet. */
export function newSnapshot(sweepBelow: Version | null = null): RunningSnapshot {
  return { state: "running", after: null, sweepBelow };
}

/** Combines the two parts of a BSON Timestamp or of a resume token. */
export function versionOf(seconds: number, increment: number): Version {
  return (BigInt(seconds) << 32n) | BigInt(increment);
}

export function latest(...versions: readonly Version[]): Version {
  return versions.reduce((a, b) => (a > b ? a : b));
}

/** The time up to which every event is published, inclusive. */
export function completeTo({ clusterTime, isWhole }: Pick<Position, "clusterTime" | "isWhole">): Version {
  return isWhole === true ? clusterTime : clusterTime - 1n;
}

/**
 * The latest time at which a change of this version can have been committed, ms since 1970: a version has whole seconds.
 * @param seenMs when the change was there, ms since 1970
 */
export function committedByMs(version: Version, seenMs: number): number {
  const second = versionToMs(version);
  return Math.max(second, Math.min(second + 1_000, seenMs));
}

/** A version as ms since 1970, in whole seconds. */
export function versionToMs(version: Version): number {
  return Number(version >> 32n) * 1000;
}
