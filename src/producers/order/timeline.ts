/*
 * Puts the events of the change stream and the chunks of the snapshots into one order for Kafka. Two things hold for
 * every key: its versions never fall, and what is published at a version is the document at that time.
 * Pure: `sequence.ts` reads and publishes, and calls these functions with what it has read.
 *
 * The stream's steps are published as they come, each as of its end E. The stream never waits for a chunk. A chunk is
 * a read at one time T, and T is known only when the read has ended:
 *
 *            nextRequest            receive                 the stream has reached T: takeChunk
 *   ─────────────▶ asked ─────────────────▶ held ──────────────────────────────────▶ published
 *        ▲           │                        │
 *        │           │ T < notBefore, or      │ its collection was truncated, or
 *        │           │ the cursor has moved   │ too many keys to remember
 *        └───────────┴────────────────────────┘
 *
 * A chunk is held until the stream has reached T, because older events of its keys must be published before it. By
 * then the stream may be published up to an E beyond T. So the keys of the stream's events are remembered while a chunk
 * is asked for or held, and the chunk is published without the keys that Kafka has in a newer version
 * (`remembered-keys.ts`).
 */
import { latest, newSnapshot } from "../../schemas/change-event.ts";
import type { ChangeEvent, Position, SnapshotState, Version } from "../../schemas/change-event.ts";
import type { LoggedSignal, SourceBatch } from "../ports.ts";
import { bytesOf, documentsIn } from "./chunk-reader.ts";
import type { Chunk, ChunkRequest, Selection } from "./chunk-reader.ts";
import { forgetEnded, withoutUnknown } from "./left-out.ts";
import type { LeftOut } from "./left-out.ts";
import type { KeyOf } from "./plan-images.ts";
import { eventsOf, forget, giveUp, remember, rememberedBytes } from "./remembered-keys.ts";
import type { ChunksInWork } from "./remembered-keys.ts";
import { withEndMarked } from "./snapshot-marks.ts";
import { beginOf, owedSweep, sweepAfter, sweepOf } from "./sweeps.ts";

/** Some events of the change stream, and the stream's part of the position after them. */
export interface StreamStep {
  readonly events: readonly ChangeEvent[];
  readonly position: StreamPosition;
  /** Undefined: as before. */
  readonly leftOut?: LeftOut | undefined;
  readonly read?: SourceBatch["read"];
}

export type StreamPosition = Pick<Position, "resumeToken" | "clusterTime" | "isWhole" | "lastEvent" | "horizon">;

export interface TimelineOptions {
  readonly keyOf: KeyOf;
  /** No chunk is requested while more documents than this are held. */
  readonly heldDocuments: number;
  /** No chunk is requested while more bytes than this are held. */
  readonly heldBytes: number;
  /** Most bytes of the keys that are remembered. The last step's keys may exceed it. */
  readonly rememberedBytes: number;
  /** False: there is no stream, and chunks are published at once. The horizon then tells a later stream what is published. */
  readonly hasStream: boolean;
  /** Whether a collection of the stream that the position does not have gets a snapshot. */
  readonly findsCollections: boolean;
}

export interface Timeline extends ChunksInWork {
  /** After everything that has been published. */
  readonly position: Position;
  /** The selection of the current signal. A signal that restarts the collection's own snapshot has none. */
  readonly selection: Selection | null;
}

/** The batch to publish next, and the timeline after it. */
export interface Published {
  readonly timeline: Timeline;
  readonly batch: SourceBatch;
}

export function startTimeline(position: Position): Timeline {
  return { position, selection: null, asked: null, held: [], remembered: [] };
}

/**
 * The position after history was lost: the stream starts at `stream`, and all snapshots restart. Each ends with a
 * truncate below the stream's start, which deletes the rows whose documents it has not found.
 */
export function resnapshot(position: Position, stream: StreamPosition): Position {
  const restarted = [...position.snapshots].map(
    ([name, state]) => [name, newSnapshot(latest(stream.clusterTime, sweepOf(state) ?? 0n))] as const,
  );
  return { ...position, ...stream, snapshots: new Map(restarted) };
}

/** Whether a snapshot or a selection is not done yet. */
export function isSnapshotting({ position, selection }: Timeline): boolean {
  return selection !== null || [...position.snapshots.values()].some(({ state }) => state === "running");
}

/** The chunk to read next. Null: there is none, or it has to wait. `ask` records that it is being read. */
export function nextRequest(timeline: Timeline, options: TimelineOptions): ChunkRequest | null {
  const { asked, held, position } = timeline;
  const isFull = documentsIn(held) > options.heldDocuments || bytesOf(held) > options.heldBytes;
  if (asked !== null || isFull || (options.hasStream && isResolving(position))) return null;
  const cursor = cursorOf(timeline);
  // Not before the held chunks: a signal may ask for keys that they have, too.
  const notBefore = latest(position.clusterTime, position.horizon, ...held.map(({ version }) => version));
  return cursor && { ...cursor, notBefore: latest(notBefore, beginOf(cursor, position)) };
}

export function ask(timeline: Timeline, request: ChunkRequest): Timeline {
  return { ...timeline, asked: request };
}

/**
 * Holds the chunks of the request, which are of one time and in order. Drops them if they are too old or no longer the
 * next ones; the next request then reads them again.
 */
export function receive(timeline: Timeline, chunks: readonly Chunk[]): Timeline {
  const { asked, held } = timeline;
  if (asked === null) throw new Error("receive() was called without a request");
  const cursor = cursorOf(timeline);
  const isNext = cursor !== null && isSameSnapshot(cursor, asked) && cursor.after === asked.after;
  const isUsable = isNext && chunks.every(({ version }) => version >= asked.notBefore);
  return forget({ ...timeline, asked: null, held: isUsable ? [...held, ...chunks] : held });
}

/** Publishes the stream's next step. Each truncate in it restarts the snapshot of its collection. */
export function passStep(timeline: Timeline, step: StreamStep, options: TimelineOptions): Published {
  const events = withoutUnknown(step.events, timeline.position, step.leftOut);
  const position = { ...timeline.position, ...step.position };
  const truncated = new Map(events.filter(({ op }) => op === "t").map((t) => [t.collection, t.version]));
  const restarted = restart({ ...timeline, position }, truncated, (before, version) =>
    newSnapshot(owedSweep(before, version)),
  );
  const found = options.findsCollections ? beginFound(restarted, events) : restarted;
  const ended = { ...found, position: forgetEnded(found.position, truncated, step.leftOut) };
  const passed = remember(ended, events, options.keyOf);
  const isTooMuch = rememberedBytes(passed) > options.rememberedBytes && !isReady(passed, options);
  return {
    timeline: isTooMuch ? giveUp(passed) : passed,
    batch: { events, position: passed.position, read: step.read },
  };
}

/**
 * Publishes the first held chunk, which must be ready (`isReady`), and the chunks after it that come from the same read.
 * @param most how many chunks at most
 */
export function takeChunk(timeline: Timeline, options: TimelineOptions, most = 1): Published {
  const [first] = timeline.held;
  if (first === undefined || !isReady(timeline, options))
    throw new Error("takeChunk() was called without a ready chunk");
  const end = timeline.held.findIndex((chunk) => !isSameSnapshot(chunk, first) || chunk.version !== first.version);
  const count = Math.min(most, end === -1 ? timeline.held.length : end);
  const chunks = timeline.held.slice(0, count);
  const last = chunks.at(-1) ?? first;
  const { horizon } = timeline.position;
  const position = {
    ...positionAfter(timeline.position, last),
    horizon: options.hasStream ? horizon : latest(horizon, last.version),
  };
  const read = chunks.flatMap((chunk) => eventsOf(chunk, timeline.remembered, options.keyOf));
  const events: ChangeEvent[] = [...withEndMarked(read, last, position)];
  const sweepBelow = sweepAfter(timeline.position.snapshots.get(last.collection), last.version);
  if (last.isLast && last.selection === null && sweepBelow !== null) {
    events.push({ op: "t", collection: last.collection, version: sweepBelow });
  }
  const selection = last.isLast && last.selection !== null ? null : timeline.selection;
  const held = timeline.held.slice(count);
  return { timeline: forget({ ...timeline, position, selection, held }), batch: { events, position } };
}

/**
 * Starts the next signal; the one before must be finished. It restarts the collection's own snapshot, or it becomes the
 * current selection until its last chunk is published.
 */
export function takeSignal(timeline: Timeline, { offset, signal }: LoggedSignal): Published {
  const { position } = timeline;
  if (timeline.selection !== null) throw new Error("takeSignal() was called before the current signal was finished");
  if (signal === null) return passSignal(timeline, offset);
  const { collection } = signal;
  if (signal.type === "snapshot" && (signal.filter !== undefined || signal.ids !== undefined)) {
    const after = position.signals.offset === offset ? position.signals.after : null;
    const begun = { ...position, signals: { offset, after } };
    return published({ ...timeline, position: begun, selection: { offset, signal } });
  }
  // Chunks read before this time are discarded: the truncate of a resync would delete their rows.
  const { clusterTime } = position;
  const passed = passSignal(timeline, offset).timeline;
  const begin = (sweepBelow: (before: SnapshotState | undefined) => Version | null): Timeline =>
    restart(passed, new Map([[collection, clusterTime]]), (before) => newSnapshot(sweepBelow(before)));
  if (signal.type === "snapshot") return published(begin(sweepOf));
  if (signal.empty !== true) return published(begin((before) => owedSweep(before, clusterTime) ?? clusterTime));
  return published(
    begin((before) => owedSweep(before, clusterTime)),
    [{ op: "t", collection, version: clusterTime }],
  );
}

/** Skips the current signal, which failed, or a record that is not a valid signal. */
export function passSignal(timeline: Timeline, offset: bigint): Published {
  const { position, held, asked } = timeline;
  return published(
    forget({
      ...timeline,
      position: { ...position, signals: { offset: offset + 1n, after: null } },
      selection: null,
      held: held.filter(({ selection }) => selection?.offset !== offset),
      asked: asked?.selection?.offset === offset ? null : asked,
    }),
  );
}

function published(timeline: Timeline, events: readonly ChangeEvent[] = []): Published {
  return { timeline, batch: { events, position: timeline.position } };
}

/** Whether a chunk must be published before the stream's next step, because too many keys are remembered for it. */
export function isPressing(timeline: Timeline, options: TimelineOptions): boolean {
  return rememberedBytes(timeline) > options.rememberedBytes && isReady(timeline, options);
}

/**
 * Whether the first held chunk can be published. Events of a MongoDB transaction at the chunk's own time may still come;
 * they hold the same documents as the chunk.
 */
export function isReady({ position, held }: Timeline, { hasStream }: TimelineOptions): boolean {
  const [chunk] = held;
  if (chunk === undefined) return false;
  return !hasStream || position.clusterTime >= chunk.version;
}

/** Below the horizon, Kafka may have keys as of up to the horizon. A chunk would have to wait until the stream is there. */
function isResolving({ clusterTime, horizon }: Position): boolean {
  return clusterTime < horizon;
}

type Cursor = Pick<ChunkRequest, "collection" | "selection" | "after">;

/** Where the next chunk begins, after the held ones. The selection goes first: a signal does not wait for a long snapshot. */
function cursorOf({ position, selection, held }: Timeline): Cursor | null {
  const cursors: Cursor[] =
    selection === null ? [] : [{ collection: selection.signal.collection, selection, after: position.signals.after }];
  for (const [collection, state] of position.snapshots) {
    if (state.state === "running") cursors.push({ collection, selection: null, after: state.after });
  }
  for (const cursor of cursors) {
    const last = held.findLast((chunk) => isSameSnapshot(chunk, cursor));
    if (last?.isLast !== true) return { ...cursor, after: last === undefined ? cursor.after : last.after };
  }
  return null;
}

function isSameSnapshot(a: Pick<Cursor, "collection" | "selection">, b: typeof a): boolean {
  return a.collection === b.collection && a.selection?.offset === b.selection?.offset;
}

function positionAfter(position: Position, { collection, selection, version, after, isLast }: Chunk): Position {
  if (selection !== null) {
    const { offset } = selection;
    return { ...position, signals: isLast ? { offset: offset + 1n, after: null } : { offset, after } };
  }
  const sweepBelow = sweepAfter(position.snapshots.get(collection), version);
  const state: SnapshotState = isLast ? { state: "done", at: version } : { state: "running", after, sweepBelow };
  return { ...position, snapshots: new Map([...position.snapshots, [collection, state]]) };
}

/**
 * Restarts the snapshots of some collections and drops their held chunks.
 * @param since by collection: chunks read before this time are discarded
 */
function restart(
  timeline: Timeline,
  since: ReadonlyMap<string, Version>,
  snapshotOf: (before: SnapshotState | undefined, since: Version) => SnapshotState,
): Timeline {
  if (since.size === 0) return timeline;
  const { position, held, asked } = timeline;
  const restarted = [...since].map(
    ([name, version]) => [name, snapshotOf(position.snapshots.get(name), version)] as const,
  );
  return {
    ...timeline,
    position: { ...position, snapshots: new Map([...position.snapshots, ...restarted]) },
    held: held.filter(({ collection }) => !since.has(collection)),
    asked: asked && { ...asked, notBefore: latest(asked.notBefore, since.get(asked.collection) ?? 0n) },
  };
}

/**
 * Begins snapshots of collections that the position does not have: a collection may have held documents before its
 * first event, and those have no events.
 */
function beginFound(timeline: Timeline, events: readonly ChangeEvent[]): Timeline {
  const { position } = timeline;
  const found = new Set(events.map(({ collection }) => collection).filter((name) => !position.snapshots.has(name)));
  if (found.size === 0) return timeline;
  const begun = [...found].map((name) => [name, newSnapshot()] as const);
  const snapshots = new Map([...position.snapshots, ...begun]);
  return { ...timeline, position: { ...position, snapshots } };
}
