import type { Db } from "mongodb";
import type { Position, Version } from "../schemas/change-event.ts";
import { keyOf } from "./mongo-document-key.ts";
import { exactStream } from "./mongo-exact-stream.ts";
import { SnapshotReader, readChunk } from "./mongo-snapshot.ts";
import { startSource } from "./mongo-source-start.ts";
import type { StartOptions } from "./mongo-source-start.ts";
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
import type { Chunk, StreamPosition, StreamStep, Timeline, TimelineOptions } from "./timeline.ts";

export interface MongoSourceOptions extends StartOptions {
  /** Most documents of a chunk. */
  readonly chunkDocuments: number;
  /** The source ends when the stream has passed this and all snapshots are done. */
  readonly until?: Version | undefined;
}

/** How often the position of an idle stream is worth storing; the server holds its requests for as long. */
const IDLE_MS = 1_000;
/** The same where something waits for the stream to reach a time: the end, or a chunk of a snapshot. */
const HURRIED_MS = 20;
const NEVER: Version = 2n ** 64n;
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
    const openStream = (start: StreamPosition | null): ReadAhead<StreamStep> =>
      new ReadAhead(exactStream(this.#db, start, { collections, onDrop, maxAwaitTimeMs, keyOf, signal: ended }));
    const chunks = new SnapshotReader((request) => readChunk(this.#db, request, { chunkDocuments, signal: ended }));
    let stream: ReadAhead<StreamStep> | undefined;
    try {
      const start = await startSource(this.#db, from, this.#options, { openStream, isFirst: !this.#hasBegun });
      ({ stream } = start);
      yield { events: [], position: start.position };
      this.#hasBegun = true;
      const hurry = (isSnapshotting: boolean): void => {
        isHurried = until !== undefined || isSnapshotting;
      };
      yield* this.#merge(start.position, { stream, chunks, hurry });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      ending.abort();
      await Promise.all([stream?.close(), chunks.close()]);
    }
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
