import type { Db } from "mongodb";
import type { Position, Version } from "../../schemas/change-event.ts";
import { ChunkReader, bytesOf, documentsIn } from "../order/chunk-reader.ts";
import { ChunkSize } from "../order/chunk-size.ts";
import { ReadAhead } from "../order/read-ahead.ts";
import { IDLE_MS, oneSequence } from "../order/sequence.ts";
import type { SequenceOptions } from "../order/sequence.ts";
import type { StreamPosition, StreamStep } from "../order/timeline.ts";
import type { ChangeSource, OpenSignals, SignalLog, SourceBatch } from "../ports.ts";
import { findCollections, isReplicated } from "./collections.ts";
import { keyOf } from "./document-key.ts";
import { exactStream } from "./exact-stream.ts";
import { readChunk } from "./snapshot-reader.ts";
import { startSource } from "./source-start.ts";
import type { StartOptions } from "./source-start.ts";

export interface MongoSourceOptions extends StartOptions {
  /** Most documents of a chunk. */
  readonly chunkDocuments: number;
  /** The source ends when the stream has passed this and all snapshots and signals are done. */
  readonly until?: Version | undefined;
  readonly signals: SignalLog;
}

/** How long the server holds a request of an idle stream where something waits for the stream to reach a time: the end, or a chunk of a snapshot. */
const HURRIED_MS = 20;
const NEVER: Version = 2n ** 64n;
const HELD_BYTES = 8 * 1024 * 1024;
const REMEMBERED_KEYS = 100_000;

/** The change stream and the snapshots of a database, and what signals ask for, as one sequence. */
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
    const size = new ChunkSize(chunkDocuments);
    const chunks = new ChunkReader(async (request) => {
      const read = await readChunk(this.#db, request, { chunkDocuments: size.documents, signal: ended });
      size.read(documentsIn(read), bytesOf(read));
      return read;
    });
    let stream: ReadAhead<StreamStep> | undefined;
    let signals: OpenSignals | undefined;
    try {
      const start = await startSource(this.#db, from, this.#options, { openStream, isFirst: !this.#hasBegun });
      ({ stream } = start);
      signals = await this.#options.signals.open(start.position.signals.offset);
      const position = withSignals(start.position, signals);
      yield { events: [], position };
      this.#hasBegun = true;
      const hurry = (isSnapshotting: boolean): void => {
        isHurried = until !== undefined || isSnapshotting;
      };
      yield* oneSequence(position, { stream, chunks, signals, hurry }, this.#sequenceOptions());
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      ending.abort();
      await Promise.all([stream?.close(), chunks.close(), signals?.close()]);
    }
  }

  #sequenceOptions(): SequenceOptions {
    const { collections, snapshotMode, chunkDocuments, until, logger } = this.#options;
    return {
      keyOf,
      // Two reads ahead: the stream reaches the one's time while another is published.
      heldDocuments: chunkDocuments,
      heldBytes: HELD_BYTES,
      rememberedKeys: REMEMBERED_KEYS,
      hasStream: snapshotMode !== "only",
      findsCollections: collections === null && snapshotMode !== "never",
      until: until ?? NEVER,
      isReplicated: async (collection) => {
        const { leftOut } = await findCollections(this.#db, collections, () => true);
        return isReplicated(collection, collections) && !leftOut.some(({ name }) => name === collection);
      },
      logger,
    };
  }
}

/** Where signals were lost, what is told of the one in work counts no more. */
function withSignals(position: Position, { start }: OpenSignals): Position {
  return position.signals.offset === start ? position : { ...position, signals: { offset: start, after: null } };
}
