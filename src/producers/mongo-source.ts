import type { Db } from "mongodb";
import { HeadraceError } from "../runtime/errors.ts";
import type { Logger } from "../runtime/logger.ts";
import { newSnapshot } from "../schemas/change-event.ts";
import type { Position, SnapshotState, Version } from "../schemas/change-event.ts";
import { clusterIdentity, isSameCluster } from "./mongo-client.ts";
import { findCollections } from "./mongo-collections.ts";
import { keyOf } from "./mongo-document-key.ts";
import type { OnDrop } from "./mongo-event-meaning.ts";
import { exactStream } from "./mongo-exact-stream.ts";
import { SnapshotReader, readChunk } from "./mongo-snapshot.ts";
import type { ChangeSource, SourceBatch } from "./ports.ts";
import { ReadAhead } from "./read-ahead.ts";
import {
  ask,
  isPressing,
  isReady,
  isSnapshotting,
  nextRequest,
  passStep,
  receive,
  startTimeline,
  takeChunk,
} from "./timeline.ts";
import type { Chunk, StreamStep, Timeline, TimelineOptions } from "./timeline.ts";

/**
 * initial: each collection once. always: all of them again at each start of the process. never: begins none, but
 * finishes one that has begun. only: as always, and nothing else.
 */
export type SnapshotMode = "initial" | "always" | "never" | "only";

export interface MongoSourceOptions {
  /** Null: every collection of the database. */
  readonly collections: readonly string[] | null;
  readonly snapshotMode: SnapshotMode;
  readonly onDrop: OnDrop;
  /** Most documents of a chunk. */
  readonly chunkDocuments: number;
  /** The source ends when the stream has passed this and all snapshots are done. */
  readonly until?: Version | undefined;
  readonly logger: Logger;
}

/** How often the position of an idle stream is worth storing; the server holds its requests for as long. */
const IDLE_MS = 1_000;
/** The same where something waits for the stream to reach a time: the end, or a chunk of a snapshot. */
const HURRIED_MS = 20;
const NEVER: Version = 2n ** 64n;
const NO_SIGNALS = { offset: 0n, after: null };
/** While changes have come within this time, chunks are published in small parts, so that none waits long. */
const BUSY_MS = 1_000;
const TIMELINE = { keyOf, heldBytes: 16 * 1024 * 1024, rememberedKeys: 100_000 };

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
    const { collections, onDrop, until, chunkDocuments } = this.#options;
    let isHurried = true;
    const maxAwaitTimeMs = () => (isHurried ? HURRIED_MS : IDLE_MS);
    const stream = new ReadAhead(
      exactStream(this.#db, from, { collections, onDrop, maxAwaitTimeMs, keyOf, signal: ended }),
    );
    const chunks = new SnapshotReader((request) => readChunk(this.#db, request, { chunkDocuments, signal: ended }));
    try {
      const start = await this.#start(from, stream);
      yield { events: [], position: start };
      this.#hasBegun = true;
      const hurry = (isSnapshotting: boolean): void => {
        isHurried = until !== undefined || isSnapshotting;
      };
      yield* this.#merge(start, { stream, chunks, hurry });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      ending.abort();
      await Promise.all([stream.close(), chunks.close()]);
    }
  }

  /** The stream begins before the snapshots do, so that nothing falls between the two. */
  async #start(from: Position | null, stream: ReadAhead<StreamStep>): Promise<Position> {
    const { collections, onDrop, logger } = this.#options;
    const cluster = await clusterIdentity(this.#db);
    if (from !== null && !isSameCluster(from.cluster, cluster)) throw otherCluster(from.cluster, cluster);
    const mayBeMissing = (name: string): boolean => onDrop === "apply" && from?.snapshots[name] !== undefined;
    const { names, leftOut } = await findCollections(this.#db, collections, mayBeMissing);
    if (!this.#hasBegun) {
      for (const { name, why } of leftOut) logger.info({ collection: name }, `left out: it is ${why}`);
    }
    const opened = await stream.peek();
    if (opened.done === true) throw new Error("the change stream ended before it began");
    stream.take();
    const snapshots = this.#snapshotsToMake(names, from?.snapshots ?? {});
    return { ...opened.value.position, cluster, snapshots, signals: from?.signals ?? NO_SIGNALS };
  }

  /** A collection that is not replicated any more loses its state: should it come back, changes are missing. */
  #snapshotsToMake(names: readonly string[], known: Position["snapshots"]): Position["snapshots"] {
    const { snapshotMode } = this.#options;
    const again = !this.#hasBegun && (snapshotMode === "always" || snapshotMode === "only");
    const states = names.map((name): [string, SnapshotState | undefined] => {
      const state = known[name];
      const isDue = state === undefined ? snapshotMode !== "never" : again && state.state === "done";
      return [name, isDue ? newSnapshot() : state];
    });
    return Object.fromEntries(states.filter((entry): entry is [string, SnapshotState] => entry[1] !== undefined));
  }

  /** The stream's steps go before chunks, which take what the stream leaves. */
  async *#merge(start: Position, inputs: MergeInputs): AsyncGenerator<SourceBatch, void, void> {
    const { snapshotMode, chunkDocuments, until } = this.#options;
    // Two reads ahead: the stream reaches the one's time while another is published.
    const options = { ...TIMELINE, heldDocuments: chunkDocuments, hasStream: snapshotMode !== "only" };
    let timeline = startTimeline(start);
    let streamIsDone = !options.hasStream || start.clusterTime > (until ?? NEVER);
    let yieldedAt = performance.now();
    let changedAt = -Infinity;
    while (!streamIsDone || isSnapshotting(timeline)) {
      inputs.hurry(isSnapshotting(timeline));
      const request = nextRequest(timeline, options);
      if (request !== null) {
        timeline = ask(timeline, request);
        inputs.chunks.ask(request);
      }
      const arrival = await firstArrival(inputs, timeline, options);
      if (arrival.kind === "chunks") {
        timeline = receive(timeline, arrival.chunks);
        continue;
      }
      const isBusy = performance.now() - changedAt < BUSY_MS;
      const next =
        arrival.kind === "step"
          ? passStep(timeline, arrival.step, options)
          : takeChunk(timeline, options, isBusy ? 1 : Infinity);
      timeline = next.timeline;
      const isIdle = arrival.kind === "step" && next.batch.events.length === 0;
      if (arrival.kind === "step" && !isIdle) changedAt = performance.now();
      if (arrival.kind === "step") streamIsDone ||= hasPassed(next.batch, until ?? NEVER);
      if (isIdle && performance.now() - yieldedAt < IDLE_MS) continue;
      yield next.batch;
      yieldedAt = performance.now();
    }
  }
}

interface MergeInputs {
  readonly stream: ReadAhead<StreamStep>;
  readonly chunks: SnapshotReader;
  /** Whether the stream is waited for. */
  readonly hurry: (isSnapshotting: boolean) => void;
}

type Arrival =
  | { readonly kind: "step"; readonly step: StreamStep }
  | { readonly kind: "chunks"; readonly chunks: readonly Chunk[] }
  | { readonly kind: "ready" };

/** Of what is there already, the first in this order. */
async function firstArrival(
  { stream, chunks }: MergeInputs,
  timeline: Timeline,
  options: TimelineOptions,
): Promise<Arrival> {
  const ready: Arrival = { kind: "ready" };
  if (isPressing(timeline, options)) return ready;
  const arrivals: Promise<Arrival>[] = [];
  if (options.hasStream) arrivals.push(stream.peek().then(stepArrival));
  if (timeline.asked !== null) arrivals.push(chunks.reply().then((read) => ({ kind: "chunks", chunks: read })));
  if (isReady(timeline, options)) arrivals.push(Promise.resolve().then(() => ready));
  const arrival = await Promise.race(arrivals);
  if (arrival.kind === "step") stream.take();
  return arrival;
}

function stepArrival({ done, value }: IteratorResult<StreamStep, void>): Arrival {
  if (done === true) throw new Error("the change stream ended by itself");
  return { kind: "step", step: value };
}

/** A batch may end within a MongoDB transaction, whose events have one time; an empty one does not. */
function hasPassed({ events, position: { clusterTime } }: SourceBatch, until: Version): boolean {
  return events.length === 0 ? clusterTime >= until : clusterTime > until;
}

function otherCluster(stored: string, found: string): HeadraceError {
  return new HeadraceError("POSITION_OF_OTHER_CLUSTER", {
    message: `The pipeline's position belongs to the replica set ${stored}, but mongodb.uri leads to ${found}.`,
  });
}
