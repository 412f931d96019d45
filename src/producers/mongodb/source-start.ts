import type { Db } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import { latest, newSnapshot, versionToMs } from "../../schemas/change-event.ts";
import type { Position, SnapshotState, Version } from "../../schemas/change-event.ts";
import type { ClaimName } from "../../schemas/collection-names.ts";
import type { CollectionSelection } from "../../schemas/collection-selection.ts";
import type { ReadAhead } from "../order/read-ahead.ts";
import { SHORT_WAIT_MS } from "../order/sequence.ts";
import { resnapshot } from "../order/timeline.ts";
import type { StreamPosition, StreamStep } from "../order/timeline.ts";
import type { ProducerObserver } from "../ports.ts";
import { clusterIdentity, isSameCluster } from "./client.ts";
import { isReplicated, requireFit } from "./collections.ts";
import type { CollectionWatch, ReplicatedCollections } from "./collections.ts";
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
  readonly collections: CollectionSelection;
  readonly snapshotMode: SnapshotMode;
  readonly onDrop: OnDrop;
  readonly onHistoryLost: OnHistoryLost;
  /** Whether nobody can have applied records of the collection yet. Default: nobody has. */
  readonly isNewTopic?: ((collection: string) => boolean) | undefined;
  /** For collections that the config does not name. */
  readonly claimName: ClaimName;
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
  /** Whether the database has an event at exactly this time. True also if the oplog no longer reaches back to it. */
  readonly hasEventAt: (time: Version) => Promise<boolean>;
  readonly watch: CollectionWatch;
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
    const known = (isLost && from !== null ? resnapshot(from, position) : from)?.snapshots ?? new Map();
    const { names, leftOut } = await findNames(known, options, opening);
    const snapshots = snapshotsToMake(names, known, options, { ...opening, clusterTime: position.clusterTime });
    if (opening.isFirst) warnOfNoCopy(names, snapshots, options);
    const signals = from?.signals ?? NO_SIGNALS;
    return { stream, position: { ...position, cluster, snapshots, signals, leftOut } };
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
async function open(from: Position | null, options: StartOptions, opening: Opening): Promise<Opened> {
  const { openStream } = opening;
  if (from === null) return { ...(await begin(openStream(null), false)), isLost: false };
  const { logger, snapshotMode, onHistoryLost, observer } = options;
  // Mode `only` does not read the stream. The next process that reads it finds out whether history is lost.
  const isRead = snapshotMode !== "only";
  const resumed = isRead && (await isRestored(from, opening)) ? restored(from) : await resume(from, isRead, opening);
  if (!(resumed instanceof HeadraceError)) {
    const { failure, ...opened } = resumed;
    if (failure !== undefined) logger.warn({ err: failure }, "resume token refused; resuming at its cluster time");
    return { ...opened, isLost: false };
  }
  if (onHistoryLost === "fail") throw resumed;
  const opened = await begin(openStream(null), isRead);
  if (opened.position.clusterTime < latest(from.clusterTime, from.horizon)) {
    await opened.stream.close();
    throw clockBehind(from, opened.position);
  }
  logger.warn(
    { err: resumed, lostFrom: timeOf(from), lostUntil: timeOf(opened.position) },
    "changes are lost; copying all collections again",
  );
  observer.historyLost?.();
  return { ...opened, isLost: true };
}

/** Every event that was published was in the oplog of a majority: only a restore can have removed it. */
async function isRestored({ lastEvent }: Position, { hasEventAt }: Opening): Promise<boolean> {
  return lastEvent !== undefined && !(await hasEventAt(lastEvent));
}

/** An error: history is lost. `failure`: MongoDB refused the token, but not the time. */
async function resume(
  from: Position,
  isRead: boolean,
  { openStream }: Opening,
): Promise<(Omit<Opened, "isLost"> & { readonly failure: unknown }) | HeadraceError> {
  let failure: unknown;
  for (const start of from.resumeToken === null ? [from] : [from, { ...from, resumeToken: null }]) {
    try {
      return { ...(await begin(openStream(start), isRead)), failure };
    } catch (error) {
      if (!isStreamLost(error) && !(start.resumeToken !== null && isTokenRefused(error))) throw error;
      failure = error;
    }
  }
  return historyLost(from, failure);
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

/** The collections with a state, and those that are left out. One that is left out keeps its state until the stream has its end. */
async function findNames(
  known: Position["snapshots"],
  { collections, onDrop }: StartOptions,
  { watch, isFirst }: Opening,
): Promise<Pick<ReplicatedCollections, "names" | "leftOut">> {
  const found = await watch.look();
  if (isFirst) requireFit(found, collections);
  const { names, missing, leftOut } = found;
  const replicated = [...known.keys()].filter((name) => isReplicated(name, collections));
  const isThere = (name: string): boolean => leftOut.has(name) || (names.includes(name) && !missing.includes(name));
  const dropped = replicated.filter((name) => !isThere(name) && isUnswept(known.get(name)));
  if (dropped.length > 0 && onDrop === "fail") throw droppedUnseen(dropped);
  const others = [...replicated.filter((name) => leftOut.has(name)), ...dropped];
  return { names: [...names, ...others.filter((name) => !names.includes(name))], leftOut };
}

/** Whether a snapshot is running that ends with a truncate. If the collection was dropped without an event, the truncate empties its table. */
function isUnswept(state: SnapshotState | undefined): boolean {
  return state?.state === "running" && state.sweepBelow !== null;
}

/**
 * A collection that is no longer replicated loses its state: if it comes back, it needs a new snapshot. Unless its topic
 * is new, the snapshot ends with a sweep: the table may have rows whose documents were deleted meanwhile.
 */
function snapshotsToMake(
  names: readonly string[],
  known: Position["snapshots"],
  { snapshotMode, isNewTopic = () => true }: StartOptions,
  { isFirst, clusterTime }: Pick<Opening, "isFirst"> & Pick<Position, "clusterTime">,
): Position["snapshots"] {
  const again = isFirst && (snapshotMode === "always" || snapshotMode === "only");
  const states = names.map((name): [string, SnapshotState | undefined] => {
    const state = known.get(name);
    if (state === undefined && snapshotMode !== "never")
      return [name, newSnapshot(isNewTopic(name) ? null : clusterTime)];
    return [name, again && state?.state === "done" ? newSnapshot(clusterTime) : state];
  });
  return new Map(states.filter((entry): entry is [string, SnapshotState] => entry[1] !== undefined));
}

/** Their topics exist, so their tables may have rows from a time when the collections were replicated. */
function warnOfNoCopy(
  names: readonly string[],
  snapshots: Position["snapshots"],
  { isNewTopic = () => true, logger }: StartOptions,
): void {
  const collections = names.filter((name) => !snapshots.has(name) && !isNewTopic(name));
  if (collections.length === 0) return;
  logger.warn(
    { collections },
    "snapshot.mode is never: these collections are not copied, so their tables have only changes since the stream began; headrace resync copies them",
  );
}

function timeOf({ clusterTime }: Pick<StreamPosition, "clusterTime">): string {
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

function restored({ lastEvent = 0n }: Position): HeadraceError {
  return new HeadraceError("HISTORY_LOST", {
    message: `MongoDB was restored from an older backup: its oplog does not have the pipeline's last change, of ${timeOf({ clusterTime: lastEvent })}.`,
  });
}

function clockBehind(from: Position, stream: StreamPosition): HeadraceError {
  return new HeadraceError("MONGODB_CLOCK_BEHIND", {
    message: `MongoDB's cluster time is ${timeOf(stream)}, but the pipeline has published changes up to ${timeOf({ clusterTime: latest(from.clusterTime, from.horizon) })}.`,
  });
}

function droppedUnseen(names: readonly string[]): HeadraceError {
  const quoted = names.map((name) => JSON.stringify(name)).join(", ");
  return new HeadraceError("COLLECTION_DROPPED", {
    message: `These collections were dropped or renamed, and their tables are not emptied yet: ${quoted}.`,
  });
}
