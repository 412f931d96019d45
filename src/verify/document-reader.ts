import type { Db, Document, RunCommandCursor } from "mongodb";
import { versionTimestamp } from "../producers/mongodb/cluster-time.ts";
import { mongoError } from "../producers/mongodb/errors.ts";
import type { Version } from "../schemas/change-event.ts";

/** Documents in one reply of MongoDB. The server ends a reply at 16 MB, or after the document that passes it. */
const BATCH_DOCUMENTS = 1_000;

/** Raw BSON documents, as many as one reply had. */
export type DocumentBatch = readonly Uint8Array[];

type Batches = AsyncGenerator<DocumentBatch, void, void>;

/** Reads a collection for `verify`. What MongoDB throws is classified. */
export class DocumentReader {
  readonly #db: Db;
  readonly #collection: string;
  readonly #signal: AbortSignal | undefined;

  constructor(db: Db, collection: string, { signal }: { readonly signal?: AbortSignal | undefined }) {
    this.#db = db;
    this.#collection = collection;
    this.#signal = signal;
  }

  async isEmpty(): Promise<boolean> {
    for await (const _ of this.#find({ projection: { _id: 1 }, limit: 1 })) return false;
    return true;
  }

  /** Every document, each batch read while its consumer works on the one before. */
  async *all(): Batches {
    yield* readAhead(this.#find({}));
  }

  /**
   * The documents of these `_id`s that are there, or were there at a cluster time. A time that is older than the
   * server's snapshot window, five minutes by default, cannot be read (`isSnapshotGone`).
   */
  byIds(ids: readonly unknown[], at: Version | null): Batches {
    const ofTime = at === null ? {} : { readConcern: { level: "snapshot", atClusterTime: versionTimestamp(at) } };
    return this.#find({ filter: { _id: { $in: ids } }, ...ofTime });
  }

  /** Of the documents of these `_id`s that are there, the `_id` alone. */
  idsAmong(ids: readonly unknown[]): Batches {
    return this.#find({ filter: { _id: { $in: ids } }, projection: { _id: 1 } });
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

  /** With `raw` the driver yields buffers, whatever its types say. */
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
      // Whoever awaits it gets the error; until then it must not end the process.
      next.catch(() => {});
      yield value;
    }
  } finally {
    await items.return();
  }
}
