import type { Db } from "mongodb";
import type { Position, Version } from "../../schemas/change-event.ts";
import type { FilterOf } from "../../schemas/filter.ts";
import { ChunkReader, bytesOf, documentsIn } from "../order/chunk-reader.ts";
import { ChunkSize } from "../order/chunk-size.ts";
import { ReadAhead } from "../order/read-ahead.ts";
import { SHORT_WAIT_MS, oneSequence } from "../order/sequence.ts";
import type { SequenceOptions } from "../order/sequence.ts";
import type { StreamPosition, StreamStep } from "../order/timeline.ts";
import type { ChangeSource, OpenSignals, SignalLog, SourceBatch } from "../ports.ts";
import { hasEventAt } from "./change-stream.ts";
import { CollectionWatch, isReplicated } from "./collections.ts";
import { keyOf } from "./document-key.ts";
import { ExactStream } from "./exact-stream.ts";
import { readChunk } from "./snapshot-reader.ts";
import { startSource } from "./source-start.ts";
import type { StartOptions } from "./source-start.ts";

export interface MongoSourceOptions extends StartOptions {
  readonly filterOf: FilterOf;
  /** Most documents of a chunk. */
  readonly chunkDocuments: number;
  /** The source ends when the stream has passed this time and all snapshots and signals are done. Default: never. */
  readonly until?: Version | undefined;
  /** As in `SequenceOptions`. Default: 0. */
  readonly intervalMs?: number;
  readonly lookEveryMs?: number;
  readonly signals: SignalLog;
}

const HELD_BYTES = 8 * 1024 * 1024;
const REMEMBERED_BYTES = 16 * 1024 * 1024;

/** The change stream and the snapshots of a database, and the documents that signals ask for, as one sequence. */
export class MongoSource implements ChangeSource {
  readonly #db: Db;
  readonly #options: MongoSourceOptions;
  readonly #watch: CollectionWatch;
  /** Whether the stored position includes the snapshots that this process begins. */
  #hasBegun = false;

  constructor(db: Db, options: MongoSourceOptions) {
    this.#db = db;
    this.#options = options;
    this.#watch = new CollectionWatch(db, options);
  }

  /** @throws HeadraceError; POSITION_OF_OTHER_CLUSTER, HISTORY_LOST and those of the collections are fatal */
  async *read(from: Position | null, { signal }: { signal: AbortSignal }): AsyncGenerator<SourceBatch, void, void> {
    const ending = new AbortController();
    const ended = AbortSignal.any([signal, ending.signal]);
    const openStream = (start: StreamPosition | null): ReadAhead<StreamStep> => this.#openStream(start, ended);
    const chunks = this.#chunkReader(ended);
    let stream: ReadAhead<StreamStep> | undefined;
    let signals: OpenSignals | undefined;
    try {
      for (const name of from?.snapshots.keys() ?? []) this.#options.claimName(name);
      const opening = {
        openStream,
        hasEventAt: (time: Version) => hasEventAt(this.#db, time, ended),
        watch: this.#watch,
        isFirst: !this.#hasBegun,
      };
      const start = await startSource(this.#db, from, this.#options, opening);
      ({ stream } = start);
      signals = await this.#options.signals.open(start.position.signals.offset);
      const { position } = start;
      yield { events: [], position };
      this.#hasBegun = true;
      yield* oneSequence(position, { stream, chunks, signals }, this.#sequenceOptions());
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      ending.abort();
      await Promise.all([stream?.close(), chunks.close(), signals?.close()]);
    }
  }

  #openStream(start: StreamPosition | null, signal: AbortSignal): ReadAhead<StreamStep> {
    const { collections, filterOf, onDrop } = this.#options;
    return new ReadAhead(
      new ExactStream(this.#db, start, { collections, filterOf, onDrop, watch: this.#watch, keyOf, signal }),
      SHORT_WAIT_MS,
    );
  }

  #chunkReader(signal: AbortSignal): ChunkReader {
    const size = new ChunkSize(this.#options.chunkDocuments);
    return new ChunkReader(async (request) => {
      const filter = this.#options.filterOf(request.collection);
      const chunks = await readChunk(this.#db, request, { chunkDocuments: size.documents, filter, signal });
      size.read(documentsIn(chunks), bytesOf(chunks));
      return chunks;
    });
  }

  #sequenceOptions(): SequenceOptions {
    const { collections, snapshotMode, chunkDocuments, until, intervalMs = 0, logger } = this.#options;
    return {
      keyOf,
      // Two reads are held: while one is published, the stream reaches the time of the other.
      heldDocuments: chunkDocuments,
      heldBytes: HELD_BYTES,
      rememberedBytes: REMEMBERED_BYTES,
      hasStream: snapshotMode !== "only",
      findsCollections: collections.others !== null && snapshotMode !== "never",
      until: until ?? null,
      intervalMs,
      isReplicated: async (collection) => {
        const { leftOut } = await this.#watch.look();
        return isReplicated(collection, collections) && !leftOut.has(collection);
      },
      logger,
    };
  }
}
