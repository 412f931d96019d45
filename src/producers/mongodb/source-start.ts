import type { Db } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import { newSnapshot, versionToMs } from "../../schemas/change-event.ts";
import type { Position, SnapshotState } from "../../schemas/change-event.ts";
import type { ReadAhead } from "../order/read-ahead.ts";
import { SHORT_WAIT_MS } from "../order/sequence.ts";
import { resnapshot } from "../order/timeline.ts";
import type { StreamPosition, StreamStep } from "../order/timeline.ts";
import type { ProducerObserver } from "../ports.ts";
import { clusterIdentity, isSameCluster } from "./client.ts";
import { findCollections, isReplicated } from "./collections.ts";
import { isStreamLost, isTokenRefused } from "./errors.ts";
import type { OnDrop } from "./event-meaning.ts";

/**
 * initial: copy each collection once. always: copy all of them again at each start of the process. never: begin no
 * snapshot, but finish one that was begun. only: as always, but do not read the change stream.
 */
export type SnapshotMode = "initial" | "always" | "never" | "only";

/** When the oplog no longer reaches back to the position: stop, or copy everything again. */
export type OnHistoryLost = "fail" | "resnapshot";

export interface StartOptions {
  /** Null: every collection of the database. */
  readonly collections: readonly string[] | null;
  readonly snapshotMode: SnapshotMode;
  readonly onDrop: OnDrop;
  readonly onHistoryLost: OnHistoryLost;
  readonly observer: Pick<ProducerObserver, "historyLost">;
  readonly logger: Logger;
}

/** The position at which a source begins, and the stream from there. */
export interface SourceStart {
  readonly position: Position;
  readonly stream: ReadAhead<StreamStep>;
}

export interface Opening {
  /** Opens the stream at a position; null: from now on. */
  readonly openStream: (start: StreamPosition | null) => ReadAhead<StreamStep>;
  /** Whether this process has still to begin its snapshots. */
  readonly isFirst: boolean;
}

const NO_SIGNALS = { offset: 0n, after: null };

/**
 * Finds the position to begin at. The stream is opened before any snapshot is read, so that no change is missed.
 * @throws HeadraceError; POSITION_OF_OTHER_CLUSTER, HISTORY_LOST and those of the collections are fatal
 */
export async function startSource(
  db: Db,
  from: Position | null,
  options: StartOptions,
  opening: Opening,
): Promise<SourceStart> {
  const cluster = await clusterIdentity(db);
  if (from !== null && !isSameCluster(from.cluster, cluster)) throw otherCluster(from.cluster, cluster);
  const { stream, position, isLost } = await open(from, options, opening);
  try {
    const known = (isLost && from !== null ? resnapshot(from, position) : from)?.snapshots ?? {};
    const names = await findNames(db, known, options, opening);
    const snapshots = snapshotsToMake(names, known, options, opening);
    return { stream, position: { ...position, cluster, snapshots, signals: from?.signals ?? NO_SIGNALS } };
  } catch (error) {
    await stream.close();
    throw error;
  }
}

interface Opened {
  readonly stream: ReadAhead<StreamStep>;
  readonly position: StreamPosition;
  /** Whether changes between `from` and the position are lost. */
  readonly isLost: boolean;
}

/**
 * Opens the stream at the token of the position. If MongoDB refuses the token, it opens the stream at the position's time:
 * the events of that time are then read again, with the same content. If the oplog no longer reaches back to that time,
 * history is lost.
 */
async function open(from: Position | null, options: StartOptions, { openStream }: Opening): Promise<Opened> {
  if (from === null) return { ...(await begin(openStream(null), false)), isLost: false };
  const { logger, snapshotMode, onHistoryLost, observer } = options;
  // Mode `only` does not read the stream. The next process that reads it finds out whether history is lost.
  const isRead = snapshotMode !== "only";
  let failure: unknown;
  for (const start of from.resumeToken === null ? [from] : [from, { ...from, resumeToken: null }]) {
    try {
      const opened = await begin(openStream(start), isRead);
      if (failure !== undefined) logger.warn({ err: failure }, "resume token refused; resuming at its cluster time");
      return { ...opened, isLost: false };
    } catch (error) {
      if (!isStreamLost(error) && !(start.resumeToken !== null && isTokenRefused(error))) throw error;
      failure = error;
    }
  }
  if (onHistoryLost === "fail") throw historyLost(from, failure);
  const opened = await begin(openStream(null), isRead);
  logger.warn(
    { err: failure, lostFrom: timeOf(from), lostUntil: timeOf(opened.position) },
    "the oplog no longer reaches back to the position: changes are lost; copying all collections again",
  );
  observer.historyLost?.();
  return { ...opened, isLost: true };
}

/** MongoDB opens a stream at any position. Only the read after the first, empty batch fails if it cannot resume there. */
async function begin(stream: ReadAhead<StreamStep>, isRead: boolean): Promise<Omit<Opened, "isLost">> {
  try {
    const { position } = await stream.peek();
    stream.take(SHORT_WAIT_MS);
    if (isRead) await stream.peek();
    return { stream, position };
  } catch (error) {
    await stream.close();
    throw error;
  }
}

async function findNames(
  db: Db,
  known: Position["snapshots"],
  { collections, onDrop, logger }: StartOptions,
  { isFirst }: Opening,
): Promise<readonly string[]> {
  const mayBeMissing = (name: string): boolean => onDrop === "apply" && known[name] !== undefined;
  const { names, leftOut } = await findCollections(db, collections, mayBeMissing);
  if (isFirst) {
    for (const { name, why } of leftOut) logger.info({ collection: name }, `collection not replicated: it is ${why}`);
  }
  const dropped = Object.keys(known).filter(
    (name) => isUnswept(known[name]) && isReplicated(name, collections) && !names.includes(name),
  );
  if (dropped.length > 0 && onDrop === "fail") throw droppedUnseen(dropped);
  return [...names, ...dropped];
}

/** Whether a snapshot is running that ends with a truncate. If the collection was dropped without an event, the truncate empties its table. */
function isUnswept(state: SnapshotState | undefined): boolean {
  return state?.state === "running" && state.sweepBelow !== null;
}

/** A collection that is no longer replicated loses its state: if it comes back, it needs a new snapshot. */
function snapshotsToMake(
  names: readonly string[],
  known: Position["snapshots"],
  { snapshotMode }: StartOptions,
  { isFirst }: Opening,
): Position["snapshots"] {
  const again = isFirst && (snapshotMode === "always" || snapshotMode === "only");
  const states = names.map((name): [string, SnapshotState | undefined] => {
    const state = known[name];
    const isDue = state === undefined ? snapshotMode !== "never" : again && state.state === "done";
    return [name, isDue ? newSnapshot() : state];
  });
  return Object.fromEntries(states.filter((entry): entry is [string, SnapshotState] => entry[1] !== undefined));
}

function timeOf({ clusterTime }: StreamPosition): string {
  return new Date(versionToMs(clusterTime)).toISOString();
}

function otherCluster(stored: string, found: string): HeadraceError {
  return new HeadraceError("POSITION_OF_OTHER_CLUSTER", {
    message: `The pipeline's position belongs to the replica set ${stored}, but mongodb.uri points to ${found}.`,
  });
}

function historyLost(from: Position, cause: unknown): HeadraceError {
  const message = `The oplog no longer reaches back to ${timeOf(from)}, the time of the pipeline's position.`;
  return new HeadraceError("HISTORY_LOST", { message }, cause);
}

function droppedUnseen(names: readonly string[]): HeadraceError {
  const quoted = names.map((name) => JSON.stringify(name)).join(", ");
  return new HeadraceError("COLLECTION_DROPPED", {
    message: `These collections were dropped or renamed, and their tables are not emptied yet: ${quoted}.`,
  });
}
