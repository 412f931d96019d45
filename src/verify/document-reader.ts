import type { Db, Document, RunCommandCursor } from "mongodb";
import { versionTimestamp } from "../producers/mongodb/cluster-time.ts";
import { mongoError } from "../producers/mongodb/errors.ts";
import type { Version } from "../schemas/change-event.ts";
import { matchingBoth, parseFilter } from "../schemas/filter.ts";

/** The most documents in one reply of MongoDB. The server also ends a reply at the document that passes 16 MB. */
const BATCH_DOCUMENTS = 1_000;

/** The raw BSON documents of one reply. */
export type DocumentBatch = readonly Uint8Array[];

type Batches = AsyncGenerator<DocumentBatch, void, void>;

export interface DocumentReaderOptions {
  /** As in `CollectionMapping`: the reader finds no other documents. */
  readonly filter: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads a collection for `verify`. Throws HeadraceError for every error of MongoDB. */
export class DocumentReader {
  readonly #db: Db;
  readonly #collection: string;
  readonly #filter: Document | null;
  readonly #signal: AbortSignal | undefined;

  constructor(db: Db, collection: string, { filter, signal }: DocumentReaderOptions) {
    this.#db = db;
    this.#collection = collection;
    this.#filter = filter === undefined ? null : parseFilter(filter);
    this.#signal = signal;
  }

  /** Whether the collection has no documents at all, matching or not: then nobody knows the type of its `_id`s. */
  async isEmpty(): Promise<boolean> {
    for await (const _ of this.#find({ projection: { _id: 1 }, limit: 1 })) return false;
    return true;
  }

  /** Every document. Reads each batch while the caller works on the one before. */
  async *all(): Batches {
    yield* readAhead(this.#find({ filter: this.#filter ?? {} }));
  }

  /**
   * The documents with these `_id`s, now or at a cluster time. It throws what `isSnapshotGone` recognizes if the time is
   * older than the server's snapshot window, five minutes by default.
   */
  byIds(ids: readonly unknown[], at: Version | null): Batches {
    const ofTime = at === null ? {} : { readConcern: { level: "snapshot", atClusterTime: versionTimestamp(at) } };
    return this.#find({ filter: this.#among(ids), ...ofTime });
  }

  /** The documents with these `_id`s, reduced to their `_id`. */
  idsAmong(ids: readonly unknown[]): Batches {
    return this.#find({ filter: this.#among(ids), projection: { _id: 1 } });
  }

  #among(ids: readonly unknown[]): Document {
    return matchingBoth({ _id: { $in: ids } }, this.#filter);
  }

  async *#find(command: Document): Batches {
    const find = { find: this.#collection, batchSize: BATCH_DOCUMENTS, readConcern: { level: "majority" }, ...command };
    await using cursor = this.#db.runCursorCommand(find, { raw: true, readPreference: "primary" });
    cursor.setBatchSize(BATCH_DOCUMENTS);
    for (;;) {
      const first = await this.#next(cursor);
      if (first === null) return;
      yield [first, ...(cursor.readBufferedDocuments() as unknown as Uint8Array[])];
    }
  }

  /** With `raw` the driver yields buffers, although its types say otherwise. */
  async #next(cursor: RunCommandCursor): Promise<Uint8Array | null> {
    this.#signal?.throwIfAborted();
    try {
      return (await cursor.next()) as Uint8Array | null;
    } catch (error) {
      throw mongoError(error, `reading the collection ${this.#collection}`);
    }
  }
}

async function* readAhead<T>(items: AsyncGenerator<T, void, void>): AsyncGenerator<T, void, void> {
  let next = items.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done === true) return;
      next = items.next();
      // The next await gets the error. Until then it must not count as an unhandled rejection.
      next.catch(() => {});
      yield value;
    }
  } finally {
    await items.return();
  }
}
