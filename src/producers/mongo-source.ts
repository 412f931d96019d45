import type { Db } from "mongodb";
import { HeadraceError } from "../runtime/errors.ts";
import type { Logger } from "../runtime/logger.ts";
import type { ChangeEvent, Position, SnapshotState, Version } from "../schemas/change-event.ts";
import { clusterIdentity, isSameCluster } from "./mongo-client.ts";
import { findCollections } from "./mongo-collections.ts";
import { exactStream } from "./mongo-exact-stream.ts";
import type { StreamStep } from "./mongo-exact-stream.ts";
import { keyOf } from "./mongo-document-key.ts";
import { snapshotChunks } from "./mongo-snapshot.ts";
import type { Chunk, PendingSnapshot } from "./mongo-snapshot.ts";
import type { ChangeSource, SourceBatch } from "./ports.ts";
import { ReadAhead } from "./read-ahead.ts";

/**
 * initial: each collection once. always: all of them again at each start of the process. never: changes only.
 * only: as always, and nothing else.
 */
export type SnapshotMode = "initial" | "always" | "never" | "only";

export interface MongoSourceOptions {
  /** Null: every collection of the database. */
  readonly collections: readonly string[] | null;
  readonly snapshotMode: SnapshotMode;
  /** Most documents of a chunk. */
  readonly chunkDocuments: number;
  /** The source ends when the stream has passed this and all snapshots are done. */
  readonly until?: Version | undefined;
  readonly logger: Logger;
}

/** How often the position of an idle stream is worth storing; the server holds its requests for as long. */
const IDLE_MS = 1_000;
/** The same where the end waits for the stream to pass a time. */
const HURRIED_MS = 50;

/** The change stream and the snapshots of a database as one sequence. */
export class MongoSource implements ChangeSource {
  readonly #db: Db;
  readonly #options: MongoSourceOptions;
  /** Whether the snapshots that this process owes have been begun and that has been stored. */
  #hasBegun = false;

  constructor(db: Db, options: MongoSourceOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** @throws HeadraceError; POSITION_OF_OTHER_CLUSTER, HISTORY_LOST and those of the collections are fatal */
  async *read(from: Position | null, { signal }: { signal: AbortSignal }): AsyncGenerator<SourceBatch, void, void> {
    const ending = new AbortController();
    const ended = AbortSignal.any([signal, ending.signal]);
    const { collections, until, chunkDocuments } = this.#options;
    const maxAwaitTimeMs = until === undefined ? IDLE_MS : HURRIED_MS;
    const stream = new ReadAhead(
      streamPieces(exactStream(this.#db, from, { collections, maxAwaitTimeMs, keyOf, signal: ended })),
    );
    let chunks: ReadAhead<Piece> | undefined;
    try {
      const start = await this.#start(from, stream);
      yield { events: [], position: start };
      this.#hasBegun = true;
      chunks = new ReadAhead(
        chunkPieces(snapshotChunks(this.#db, this.#pendingSnapshots(start), { chunkDocuments, signal: ended })),
      );
      yield* this.#merge(start, stream, chunks);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      ending.abort();
      await Promise.all([stream.close(), chunks?.close()]);
    }
  }

  /** The stream begins before the snapshots do, so that nothing falls between the two. */
  async #start(from: Position | null, stream: ReadAhead<Piece>): Promise<Position> {
    const { collections, logger } = this.#options;
    const cluster = await clusterIdentity(this.#db);
    if (from !== null && !isSameCluster(from.cluster, cluster)) throw otherCluster(from.cluster, cluster);
    const { names, leftOut } = await findCollections(this.#db, collections);
    if (!this.#hasBegun) {
      for (const { name, why } of leftOut) logger.info({ collection: name }, `left out: it is ${why}`);
    }
    const opened = await stream.peek();
    if (opened.done === true) throw new Error("the change stream ended before it began");
    stream.take();
    const snapshots = this.#snapshotsToMake(names, from?.snapshots ?? {});
    return opened.value.advance({ resumeToken: null, clusterTime: 0n, horizon: 0n, cluster, snapshots });
  }

  /** A collection that is not replicated any more loses its state: should it come back, changes are missing. */
  #snapshotsToMake(names: readonly string[], known: Position["snapshots"]): Position["snapshots"] {
    const { snapshotMode } = this.#options;
    const again = !this.#hasBegun && (snapshotMode === "always" || snapshotMode === "only");
    const states = names.map((name): [string, SnapshotState | undefined] => {
      const state = known[name];
      const isDue = state === undefined ? snapshotMode !== "never" : again && state.state === "done";
      return [name, isDue ? { state: "running", after: null } : state];
    });
    return Object.fromEntries(states.filter((entry): entry is [string, SnapshotState] => entry[1] !== undefined));
  }

  #pendingSnapshots({ snapshots }: Position): PendingSnapshot[] {
    if (this.#options.snapshotMode === "never") return [];
    return Object.entries(snapshots).flatMap(([collection, state]) =>
      state.state === "running" ? [{ collection, after: state.after }] : [],
    );
  }

  /**
   * What is ready first is next, the stream before chunks, so that chunks take what the stream leaves. They pause
   * while an old backlog is resolved.
   */
  async *#merge(
    start: Position,
    stream: ReadAhead<Piece>,
    chunks: ReadAhead<Piece>,
  ): AsyncGenerator<SourceBatch, void, void> {
    const { snapshotMode, until } = this.#options;
    let position = start;
    let snapshotting = true;
    let streamIsDone = snapshotMode === "only" || hasPassed(position, until);
    let yieldedAt = performance.now();
    for (;;) {
      if (streamIsDone && !snapshotting) return;
      const resolving = position.clusterTime < position.horizon;
      const active = snapshotMode === "only" ? [chunks] : snapshotting && !resolving ? [stream, chunks] : [stream];
      const { sequence, next } = await firstReady(active);
      if (next.done === true) {
        if (sequence === stream) throw new Error("the change stream ended by itself");
        snapshotting = false;
        continue;
      }
      sequence.take();
      position = next.value.advance(position);
      streamIsDone ||= hasPassed(position, until, next.value);
      if (next.value.isIdle && performance.now() - yieldedAt < IDLE_MS) continue;
      yield { events: next.value.events, position };
      yieldedAt = performance.now();
    }
  }
}

/** Some events of the stream or of a snapshot, and what they do to the position. */
interface Piece {
  readonly events: readonly ChangeEvent[];
  readonly advance: (position: Position) => Position;
  /** Nothing but a newer time. */
  readonly isIdle: boolean;
}

async function* streamPieces(steps: AsyncIterable<StreamStep>): AsyncGenerator<Piece, void, void> {
  for await (const step of steps) {
    yield {
      events: step.events,
      advance: (position) => ({ ...position, ...step.position }),
      isIdle: step.events.length === 0,
    };
  }
}

async function* chunkPieces(chunks: AsyncIterable<Chunk>): AsyncGenerator<Piece, void, void> {
  for await (const { collection, documents, version, after, isLast } of chunks) {
    const state: SnapshotState = isLast ? { state: "done", at: version } : { state: "running", after };
    yield {
      events: documents.map((document) => ({ op: "r", collection, documentKey: document, document, version })),
      advance: (position) => ({ ...position, snapshots: { ...position.snapshots, [collection]: state } }),
      isIdle: false,
    };
  }
}

async function firstReady<T>(
  sequences: readonly ReadAhead<T>[],
): Promise<{ sequence: ReadAhead<T>; next: IteratorResult<T, void> }> {
  return await Promise.race(sequences.map(async (sequence) => ({ sequence, next: await sequence.peek() })));
}

/** A batch may end within a MongoDB transaction, whose events have one time; an empty one does not. */
function hasPassed({ clusterTime }: Position, until: Version | undefined, piece?: Piece): boolean {
  if (until === undefined) return false;
  return piece?.isIdle === true ? clusterTime >= until : clusterTime > until;
}

function otherCluster(stored: string, found: string): HeadraceError {
  return new HeadraceError("POSITION_OF_OTHER_CLUSTER", "fatal", {
    message: `The pipeline's position belongs to the replica set ${stored}, but mongodb.uri leads to ${found}.`,
    remedy: "Correct mongodb.uri, or use another pipeline name for the other cluster.",
  });
}
