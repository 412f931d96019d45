/*
 * The order of what goes to Kafka, from a change stream and from the chunks of snapshots that are read beside it. For
 * each key, versions never fall, and what stands at a version is the document at that time. Pure: whoever reads and
 * publishes tells it what came and gets what is next.
 *
 * The stream's steps are published as they come, each as of its end E; the stream waits for no chunk. A chunk is
 * one read at one time T, which is known only when it is there:
 *
 *            nextRequest            receive                 the stream has reached T: takeChunk
 *   ─────────────▶ asked ─────────────────▶ held ──────────────────────────────────▶ published
 *        ▲           │                        │
 *        │           │ T < notBefore, or      │ its collection was truncated, or
 *        │           │ not the cursor's       │ too much to remember
 *        └───────────┴────────────────────────┘
 *
 * Held until the stream has reached T, since older events of its keys must come before. By then the stream may have
 * been published beyond T (up to E): the documents whose keys it had after T are left out, as they are older than what
 * stands in Kafka. For that, the keys are remembered from the time a chunk is asked for until it is published.
 */
import { newSnapshot } from "../../schemas/change-event.ts";
import type {
  ChangeEvent,
  DocumentEvent,
  Position,
  RepeatedDeadLetter,
  SnapshotState,
  Version,
} from "../../schemas/change-event.ts";
import type { SnapshotSignal } from "../../schemas/signal.ts";
import type { LoggedSignal, SourceBatch } from "../ports.ts";
import type { KeyOf } from "./plan-images.ts";

/** Some events of the change stream, and what of the position is about it after them. */
export interface StreamStep {
  readonly events: readonly ChangeEvent[];
  readonly position: StreamPosition;
}

export type StreamPosition = Pick<Position, "resumeToken" | "clusterTime" | "isWhole" | "horizon">;

/** A snapshot of what a signal's filter finds, or of its ids, beside that of the collection itself. */
export interface Selection {
  /** The signal's. */
  readonly offset: bigint;
  readonly signal: SnapshotSignal;
}

export interface ChunkRequest {
  readonly collection: string;
  /** Null: all of the collection. */
  readonly selection: Selection | null;
  /** As `RunningSnapshot.after` or, of a selection, `SignalsPosition.after`. */
  readonly after: string | null;
  /** A chunk of an earlier time is of no use. */
  readonly notBefore: Version;
}

/** One key range of a collection, read at one cluster time; all of a read or a part of it. */
export interface Chunk {
  readonly collection: string;
  /** As it was asked for. */
  readonly selection: Selection | null;
  /** Raw BSON; may be empty. */
  readonly documents: readonly Uint8Array[];
  /** `{_id}` of those that were asked for and were not there. */
  readonly absent: readonly Uint8Array[];
  /** By key. */
  readonly deadLetters: ReadonlyMap<string, RepeatedDeadLetter>;
  readonly version: Version;
  /** Where the next chunk begins, as `ChunkRequest.after`. */
  readonly after: string | null;
  /** Whether this is the collection's last one. */
  readonly isLast: boolean;
}

/** What chunks have to say that were not read by id. */
export const NOT_BY_ID: Pick<Chunk, "absent" | "deadLetters"> = { absent: [], deadLetters: new Map() };

export interface TimelineOptions {
  readonly keyOf: KeyOf;
  /** No more is read while more documents than these are held, or more bytes. */
  readonly heldDocuments: number;
  readonly heldBytes: number;
  /** Most keys that are remembered, but for the last step's. */
  readonly rememberedKeys: number;
  /** Whether there is a stream to wait for. Without, chunks go at once, and the horizon tells the stream that follows. */
  readonly hasStream: boolean;
  /** Whether a collection that the stream comes upon, and that the position does not know, gets a snapshot. */
  readonly findsCollections: boolean;
}

export interface Timeline {
  /** After all that has been given out. */
  readonly position: Position;
  /** The signal in work that is not done by making the collection's own snapshot anew. */
  readonly selection: Selection | null;
  readonly asked: ChunkRequest | null;
  /** In the order that they were asked for. */
  readonly held: readonly Chunk[];
  /** What the stream had while a chunk was asked for or held; oldest first. */
  readonly remembered: readonly StreamKeys[];
}

interface StreamKeys {
  /** Of the newest of them. */
  readonly version: Version;
  /** `collection\0key`. */
  readonly keys: ReadonlySet<string>;
}

/** What is published next, and the timeline after it. */
export interface Published {
  readonly timeline: Timeline;
  readonly batch: SourceBatch;
}

export function startTimeline(position: Position): Timeline {
  return { position, selection: null, asked: null, held: [], remembered: [] };
}

/**
 * Where to go on when the stream cannot: it begins anew at `stream`, and so do all snapshots. What they do not find has
 * been deleted unseen, and is swept at their end.
 */
export function resnapshot(position: Position, stream: StreamPosition): Position {
  const anew = Object.keys(position.snapshots).map((name) => [name, newSnapshot(stream.clusterTime)] as const);
  return { ...position, ...stream, snapshots: Object.fromEntries(anew) };
}

export function isSnapshotting({ position, selection }: Timeline): boolean {
  return selection !== null || Object.values(position.snapshots).some(({ state }) => state === "running");
}

/** The chunk to read next; null while there is none, or while it has to wait. `ask` says that it is being read. */
export function nextRequest(timeline: Timeline, options: TimelineOptions): ChunkRequest | null {
  const { asked, held, position } = timeline;
  const isFull = documentsIn(held) > options.heldDocuments || bytesOf(held) > options.heldBytes;
  if (asked !== null || isFull || (options.hasStream && isResolving(position))) return null;
  const cursor = cursorOf(timeline);
  // A signal may ask for keys that a held chunk has, too.
  const notBefore = latest(position.clusterTime, position.horizon, ...held.map(({ version }) => version));
  return cursor && { ...cursor, notBefore };
}

export function ask(timeline: Timeline, request: ChunkRequest): Timeline {
  return { ...timeline, asked: request };
}

/**
 * What was asked for is there: chunks of one time, one after the other. They are dropped, and asked for again, where
 * they are of no use.
 */
export function receive(timeline: Timeline, chunks: readonly Chunk[]): Timeline {
  const { asked, held } = timeline;
  if (asked === null) throw new Error("a chunk came that was not asked for");
  const cursor = cursorOf(timeline);
  const isNext = cursor !== null && isSameSnapshot(cursor, asked) && cursor.after === asked.after;
  const isUsable = isNext && chunks.every(({ version }) => version >= asked.notBefore);
  return forget({ ...timeline, asked: null, held: isUsable ? [...held, ...chunks] : held });
}

/** The stream's next step. A truncate in it begins the snapshot of its collection anew. */
export function passStep(timeline: Timeline, step: StreamStep, options: TimelineOptions): Published {
  const position = { ...timeline.position, ...step.position };
  const truncated = new Map(step.events.filter(({ op }) => op === "t").map((t) => [t.collection, t.version]));
  const anew = beginAnew({ ...timeline, position }, truncated, () => newSnapshot());
  const passed = remember(options.findsCollections ? beginFound(anew, step) : anew, step, options.keyOf);
  const isTooMuch = countKeys(passed) > options.rememberedKeys && !isReady(passed, options);
  return {
    timeline: isTooMuch ? giveUp(passed) : passed,
    batch: { events: step.events, position: passed.position },
  };
}

/** Publishes the chunk that `isReady`, with those after it that were read with it, up to `most`. */
export function takeChunk(timeline: Timeline, options: TimelineOptions, most = 1): Published {
  const [first] = timeline.held;
  if (first === undefined || !isReady(timeline, options)) throw new Error("there is no chunk to publish");
  const end = timeline.held.findIndex((chunk) => !isSameSnapshot(chunk, first) || chunk.version !== first.version);
  const count = Math.min(most, end === -1 ? timeline.held.length : end);
  const chunks = timeline.held.slice(0, count);
  const last = chunks.at(-1) ?? first;
  const { horizon } = timeline.position;
  const position = {
    ...positionAfter(timeline.position, last),
    horizon: options.hasStream ? horizon : latest(horizon, last.version),
  };
  const events: ChangeEvent[] = chunks.flatMap((chunk) => eventsOf(chunk, timeline.remembered, options.keyOf));
  const sweepBelow = sweepOf(timeline.position.snapshots[last.collection]);
  if (last.isLast && last.selection === null && sweepBelow !== null) {
    events.push({ op: "t", collection: last.collection, version: sweepBelow });
  }
  const selection = last.isLast && last.selection !== null ? null : timeline.selection;
  const held = timeline.held.slice(count);
  return { timeline: forget({ ...timeline, position, selection, held }), batch: { events, position } };
}

/**
 * Begins to carry out a signal, the next one, with none in work: the collection's own snapshot begins anew, or a
 * selection is in work until its last chunk.
 */
export function takeSignal(timeline: Timeline, { offset, signal }: LoggedSignal): Published {
  const { position } = timeline;
  if (timeline.selection !== null) throw new Error("a signal came while another is in work");
  if (signal === null) return passSignal(timeline, offset);
  const { collection } = signal;
  if (signal.type === "snapshot" && (signal.filter !== undefined || signal.ids !== undefined)) {
    const after = position.signals.offset === offset ? position.signals.after : null;
    const begun = { ...position, signals: { offset, after } };
    return published({ ...timeline, position: begun, selection: { offset, signal } });
  }
  // What is read before this time could not stand against the sweep.
  const { clusterTime } = position;
  const passed = passSignal(timeline, offset).timeline;
  const begin = (sweepBelow: (before: SnapshotState | undefined) => Version | null): Timeline =>
    beginAnew(passed, new Map([[collection, clusterTime]]), (before) => newSnapshot(sweepBelow(before)));
  if (signal.type === "snapshot") return published(begin(sweepOf));
  if (signal.empty !== true) return published(begin(() => clusterTime));
  return published(
    begin(() => null),
    [{ op: "t", collection, version: clusterTime }],
  );
}

/** Leaves a signal undone: one that is in work and cannot be carried out, or one that is none. */
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

/** Whether the next chunk has to go before the stream's next step, as there is much to remember for it. */
export function isPressing(timeline: Timeline, options: TimelineOptions): boolean {
  return countKeys(timeline) > options.rememberedKeys && isReady(timeline, options);
}

/**
 * Whether a chunk can be published now. Events of a MongoDB transaction at its very time may still come: they say of
 * that time what the chunk says.
 */
export function isReady({ position, held }: Timeline, { hasStream }: TimelineOptions): boolean {
  const [chunk] = held;
  if (chunk === undefined) return false;
  return !hasStream || position.clusterTime >= chunk.version;
}

function sweepOf(state: SnapshotState | undefined): Version | null {
  return state?.state === "running" ? state.sweepBelow : null;
}

/** Then keys may stand in Kafka as of up to the horizon, which a chunk would have to wait for. */
function isResolving({ clusterTime, horizon }: Position): boolean {
  return clusterTime < horizon;
}

type Cursor = Pick<ChunkRequest, "collection" | "selection" | "after">;

/** Where the next chunk begins, after those that are held. A signal is not made to wait for a long snapshot. */
function cursorOf({ position, selection, held }: Timeline): Cursor | null {
  const cursors: Cursor[] =
    selection === null ? [] : [{ collection: selection.signal.collection, selection, after: position.signals.after }];
  for (const [collection, state] of Object.entries(position.snapshots)) {
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
  const sweepBelow = sweepOf(position.snapshots[collection]);
  const state: SnapshotState = isLast ? { state: "done", at: version } : { state: "running", after, sweepBelow };
  return { ...position, snapshots: { ...position.snapshots, [collection]: state } };
}

/** @param since by collection: what was read of it before this time is of no use */
function beginAnew(
  timeline: Timeline,
  since: ReadonlyMap<string, Version>,
  snapshotOf: (before: SnapshotState | undefined) => SnapshotState,
): Timeline {
  if (since.size === 0) return timeline;
  const { position, held, asked } = timeline;
  const anew = [...since.keys()].map((name) => [name, snapshotOf(position.snapshots[name])] as const);
  return {
    ...timeline,
    position: { ...position, snapshots: { ...position.snapshots, ...Object.fromEntries(anew) } },
    held: held.filter(({ collection }) => !since.has(collection)),
    asked: asked && { ...asked, notBefore: latest(asked.notBefore, since.get(asked.collection) ?? 0n) },
  };
}

/** What it held before its first event, should it not have been made by that, has no events. */
function beginFound(timeline: Timeline, { events }: StreamStep): Timeline {
  const { position } = timeline;
  const known = new Set(Object.keys(position.snapshots));
  const found = new Set(events.map(({ collection }) => collection).filter((name) => !known.has(name)));
  if (found.size === 0) return timeline;
  const begun = [...found].map((name) => [name, newSnapshot()] as const);
  const snapshots = { ...position.snapshots, ...Object.fromEntries(begun) };
  return { ...timeline, position: { ...position, snapshots } };
}

function remember(timeline: Timeline, { events }: StreamStep, keyOf: KeyOf): Timeline {
  const { asked, held, remembered } = timeline;
  if (asked === null && held.length === 0) return timeline;
  const keys = new Set<string>();
  let version = remembered.at(-1)?.version ?? 0n;
  for (const event of events) {
    if (event.op === "t") continue;
    keys.add(`${event.collection}\0${keyOf(event.documentKey)}`);
    version = latest(version, event.version);
  }
  return keys.size === 0 ? timeline : forget({ ...timeline, remembered: [...remembered, { version, keys }] });
}

/** Drops what no chunk can be older than. */
function forget(timeline: Timeline): Timeline {
  const { asked, held, remembered } = timeline;
  const times = [...held.map(({ version }) => version), ...(asked === null ? [] : [asked.notBefore])];
  return { ...timeline, remembered: remembered.filter(({ version }) => times.some((time) => version > time)) };
}

/** The chunks that all this is remembered for are read again, later. */
function giveUp(timeline: Timeline): Timeline {
  const { asked, remembered } = timeline;
  const newest = remembered.at(-1)?.version ?? 0n;
  return forget({
    ...timeline,
    held: [],
    asked: asked && { ...asked, notBefore: latest(asked.notBefore, newest) },
  });
}

/** Of those of the chunk's keys that are not older than what the stream had. */
function eventsOf(
  { collection, documents, absent, deadLetters, version }: Chunk,
  remembered: readonly StreamKeys[],
  keyOf: KeyOf,
): readonly DocumentEvent[] {
  const newer = remembered.filter((keys) => keys.version > version);
  const events: DocumentEvent[] = [
    ...documents.map((document) => ({ op: "r" as const, collection, documentKey: document, document, version })),
    ...absent.map((documentKey) => ({ op: "d" as const, collection, documentKey, document: null, version })),
  ];
  if (newer.length === 0 && deadLetters.size === 0) return events;
  return events.flatMap((event) => {
    const key = keyOf(event.documentKey);
    if (newer.some(({ keys }) => keys.has(`${collection}\0${key}`))) return [];
    return [{ ...event, deadLetter: deadLetters.get(key) }];
  });
}

function countKeys({ remembered }: Timeline): number {
  return remembered.reduce((count, { keys }) => count + keys.size, 0);
}

export function documentsIn(chunks: readonly Chunk[]): number {
  return chunks.reduce((count, { documents }) => count + documents.length, 0);
}

export function bytesOf(chunks: readonly Chunk[]): number {
  return chunks.reduce((bytes, { documents }) => documents.reduce((sum, { byteLength }) => sum + byteLength, bytes), 0);
}

function latest(...versions: readonly Version[]): Version {
  return versions.reduce((a, b) => (a > b ? a : b));
}
