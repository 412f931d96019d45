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
import { newSnapshot } from "../schemas/change-event.ts";
import type { ChangeEvent, Position, SnapshotState, Version } from "../schemas/change-event.ts";
import type { SourceBatch } from "./ports.ts";
import type { KeyOf } from "./post-images.ts";

/** Some events of the change stream, and what of the position is about it after them. */
export interface StreamStep {
  readonly events: readonly ChangeEvent[];
  readonly position: StreamPosition;
}

export type StreamPosition = Pick<Position, "resumeToken" | "clusterTime" | "horizon">;

export interface ChunkRequest {
  readonly collection: string;
  /** As `SnapshotState.after`. */
  readonly after: string | null;
  /** A chunk of an earlier time is of no use. */
  readonly notBefore: Version;
}

/** One key range of a collection, read at one cluster time; all of a read or a part of it. */
export interface Chunk {
  readonly collection: string;
  /** Raw BSON, in the order of the `_id` index; may be empty. */
  readonly documents: readonly Uint8Array[];
  readonly version: Version;
  /** Where the next chunk begins, as `SnapshotState.after`. */
  readonly after: string | null;
  /** Whether this is the collection's last one. */
  readonly isLast: boolean;
}

export interface TimelineOptions {
  readonly keyOf: KeyOf;
  /** No more is read while more documents than these are held, or more bytes. */
  readonly heldDocuments: number;
  readonly heldBytes: number;
  /** Most keys that are remembered, but for the last step's. */
  readonly rememberedKeys: number;
  /** Whether there is a stream to wait for. Without, chunks go at once, and the horizon tells the stream that follows. */
  readonly hasStream: boolean;
}

export interface Timeline {
  /** After all that has been given out. */
  readonly position: Position;
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
  return { position, asked: null, held: [], remembered: [] };
}

/**
 * Where to go on when the stream cannot: it begins anew at `stream`, and so do all snapshots. What they do not find has
 * been deleted unseen, and is swept at their end.
 */
export function resnapshot(position: Position, stream: StreamPosition): Position {
  const anew = Object.keys(position.snapshots).map((name) => [name, newSnapshot(stream.clusterTime)] as const);
  return { ...position, ...stream, snapshots: Object.fromEntries(anew) };
}

export function isSnapshotting({ position }: Timeline): boolean {
  return Object.values(position.snapshots).some(({ state }) => state === "running");
}

/** The chunk to read next; null while there is none, or while it has to wait. `ask` says that it is being read. */
export function nextRequest(timeline: Timeline, options: TimelineOptions): ChunkRequest | null {
  const { asked, held, position } = timeline;
  const isFull = documentsIn(held) > options.heldDocuments || bytesOf(held) > options.heldBytes;
  if (asked !== null || isFull || (options.hasStream && isResolving(position))) return null;
  const cursor = cursorOf(timeline);
  return cursor && { ...cursor, notBefore: latest(position.clusterTime, position.horizon) };
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
  const isNext = cursor?.collection === asked.collection && cursor.after === asked.after;
  const isUsable = isNext && chunks.every(({ version }) => version >= asked.notBefore);
  return forget({ ...timeline, asked: null, held: isUsable ? [...held, ...chunks] : held });
}

/** The stream's next step. A truncate in it begins the snapshot of its collection anew. */
export function passStep(timeline: Timeline, step: StreamStep, options: TimelineOptions): Published {
  const position = { ...timeline.position, ...step.position };
  const truncated = new Map(step.events.filter(({ op }) => op === "t").map((t) => [t.collection, t.version]));
  const passed = remember(restart({ ...timeline, position }, truncated), step, options.keyOf);
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
  const { collection, version } = first;
  const end = timeline.held.findIndex((chunk) => chunk.collection !== collection || chunk.version !== version);
  const count = Math.min(most, end === -1 ? timeline.held.length : end);
  const chunks = timeline.held.slice(0, count);
  const { after, isLast } = chunks.at(-1) ?? first;
  const { horizon, snapshots } = timeline.position;
  const sweepBelow = sweepOf(snapshots[collection]);
  const state: SnapshotState = isLast ? { state: "done", at: version } : { state: "running", after, sweepBelow };
  const position = {
    ...timeline.position,
    horizon: options.hasStream ? horizon : latest(horizon, version),
    snapshots: { ...snapshots, [collection]: state },
  };
  const events = chunks
    .flatMap((chunk) => documentsOf(chunk, timeline.remembered, options.keyOf))
    .map((document): ChangeEvent => ({ op: "r", collection, documentKey: document, document, version }));
  if (isLast && sweepBelow !== null) events.push({ op: "t", collection, version: sweepBelow });
  return { timeline: forget({ ...timeline, position, held: timeline.held.slice(count) }), batch: { events, position } };
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

/** Where the next chunk begins, after those that are held. */
function cursorOf({ position, held }: Timeline): Pick<ChunkRequest, "collection" | "after"> | null {
  for (const [collection, state] of Object.entries(position.snapshots)) {
    if (state.state !== "running") continue;
    const last = held.findLast((chunk) => chunk.collection === collection);
    if (last?.isLast !== true) return { collection, after: last === undefined ? state.after : last.after };
  }
  return null;
}

function restart(timeline: Timeline, truncated: ReadonlyMap<string, Version>): Timeline {
  if (truncated.size === 0) return timeline;
  const { position, held, asked } = timeline;
  const anew = [...truncated.keys()].map((collection) => [collection, newSnapshot()] as const);
  return {
    ...timeline,
    position: { ...position, snapshots: { ...position.snapshots, ...Object.fromEntries(anew) } },
    held: held.filter(({ collection }) => !truncated.has(collection)),
    asked: asked && { ...asked, notBefore: latest(asked.notBefore, truncated.get(asked.collection) ?? 0n) },
  };
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

/** Those of the chunk's documents that are not older than what the stream had. */
function documentsOf(
  { collection, documents, version }: Chunk,
  remembered: readonly StreamKeys[],
  keyOf: KeyOf,
): readonly Uint8Array[] {
  const newer = remembered.filter((keys) => keys.version > version);
  if (newer.length === 0) return documents;
  return documents.filter((document) => {
    const key = `${collection}\0${keyOf(document)}`;
    return !newer.some(({ keys }) => keys.has(key));
  });
}

function countKeys({ remembered }: Timeline): number {
  return remembered.reduce((count, { keys }) => count + keys.size, 0);
}

function documentsIn(chunks: readonly Chunk[]): number {
  return chunks.reduce((count, { documents }) => count + documents.length, 0);
}

function bytesOf(chunks: readonly Chunk[]): number {
  return chunks.reduce((bytes, { documents }) => documents.reduce((sum, { byteLength }) => sum + byteLength, bytes), 0);
}

function latest(a: Version, b: Version): Version {
  return a > b ? a : b;
}
