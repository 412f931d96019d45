/** c: insert, u: update or replace, d: delete, r: snapshot read, t: truncate. The letters are Debezium's. */
export type Operation = "c" | "u" | "d" | "r" | "t";

/**
 * The cluster time that an event's document is as of: `seconds << 32 | increment`. Fits PostgreSQL's
 * bigint until 2038.
 */
export type Version = bigint;

/** A change as the producer's source yields it, still in BSON. */
export type ChangeEvent = DocumentEvent | TruncateEvent;

export interface DocumentEvent {
  readonly op: Exclude<Operation, "t">;
  readonly collection: string;
  /** A raw BSON document that has the key as its `_id`: the event's documentKey, or the document itself. */
  readonly documentKey: Uint8Array;
  /**
   * The whole document in raw BSON exactly as it was at `version`; null where op is d. Null with another op: it could
   * not be read by its `_id`, and is a dead letter.
   */
  readonly document: Uint8Array | null;
  readonly version: Version;
  /** The dead letter that this mends, unless it fails again. */
  readonly deadLetter?: RepeatedDeadLetter | undefined;
}

/** A dead letter of the producer whose document is read again. */
export interface RepeatedDeadLetter {
  /** Where the first one of this document stands in the DLQ. */
  readonly offset: bigint;
  /** How often it was tried before. */
  readonly attempts: number;
}

export interface TruncateEvent {
  readonly op: "t";
  readonly collection: string;
  readonly version: Version;
}

/** Where the producer stands; a durably stored one is a checkpoint. */
export interface Position {
  /** The change stream's resume token, `_data` of it. Null where only the time is known (start of a pipeline). */
  readonly resumeToken: string | null;
  /** The cluster time that goes with the token; the stream can be reopened at it (inclusive) without the token. */
  readonly clusterTime: Version;
  /** Whether all events of `clusterTime` itself are published. Else a part of one MongoDB transaction may be left. */
  readonly isWhole?: boolean | undefined;
  /** Which MongoDB cluster the token belongs to. */
  readonly cluster: string;
  /**
   * Keys may have been published as of this time: the highest at which an old backlog was resolved, or the end of a
   * batch that was published in part; 0 when there was neither. Until the stream has passed it, batches are resolved.
   */
  readonly horizon: Version;
  /** The snapshot of each collection. A collection that is absent has had none. */
  readonly snapshots: Readonly<Record<string, SnapshotState>>;
  readonly signals: SignalsPosition;
}

export type SnapshotState =
  | RunningSnapshot
  | { readonly state: "done"; /** time of its last chunk */ readonly at: Version };

export interface RunningSnapshot {
  readonly state: "running";
  /** Canonical Extended JSON of `{_id}`, the last one read; null before the first chunk. */
  readonly after: string | null;
  /** At its end a truncate of this version is published: what is older has been deleted, unseen. Null: none is. */
  readonly sweepBelow: Version | null;
}

/** Where the producer stands in the signals topic. */
export interface SignalsPosition {
  /** Of the next signal to carry out; or of the one in work, whose content is read again after a restart. */
  readonly offset: bigint;
  /** How far the one in work has come: as `RunningSnapshot.after`, or how many of its ids are done. */
  readonly after: string | null;
}

/** A snapshot that has not read anything yet. */
export function newSnapshot(sweepBelow: Version | null = null): RunningSnapshot {
  return { state: "running", after: null, sweepBelow };
}

/** A Version of a BSON Timestamp's (or resume token's) two parts. */
export function versionOf(seconds: number, increment: number): Version {
  return (BigInt(seconds) << 32n) | BigInt(increment);
}

export function latest(...versions: readonly Version[]): Version {
  return versions.reduce((a, b) => (a > b ? a : b));
}

/** Up to which time, this included, every event is published. */
export function completeTo({ clusterTime, isWhole }: Pick<Position, "clusterTime" | "isWhole">): Version {
  return isWhole === true ? clusterTime : clusterTime - 1n;
}

/** The wall clock of a version, in ms since 1970 (to the second). */
export function versionToMs(version: Version): number {
  return Number(version >> 32n) * 1000;
}
