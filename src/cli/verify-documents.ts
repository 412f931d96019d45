import type { Abortable, Collection, Db, Document, FindCursor, FindOptions } from "mongodb";
import { mongoError } from "../producers/mongo-errors.ts";

/** Documents in one reply of MongoDB. The server ends a reply at 16 MB, or after the document that passes it. */
const BATCH_DOCUMENTS = 1_000;

/** Raw BSON documents, as many as one reply had. */
export type DocumentBatch = readonly Uint8Array[];

/** Reads a collection for `verify`. What MongoDB throws is classified. */
export class DocumentReader {
  readonly #collection: Collection<{ _id: unknown }>;
  readonly #options: FindOptions & Abortable;

  constructor(db: Db, collection: string, { signal }: { readonly signal?: AbortSignal | undefined }) {
    this.#collection = db.collection(collection, { readConcern: { level: "majority" }, readPreference: "primary" });
    this.#options = { raw: true, batchSize: BATCH_DOCUMENTS, signal };
  }

  async isEmpty(): Promise<boolean> {
    for await (const _ of this.#read({}, { projection: { _id: 1 }, limit: 1 })) return false;
    return true;
  }

  /** Every document, each batch read while its consumer works on the one before. */
  async *all(): AsyncGenerator<DocumentBatch, void, void> {
    yield* readAhead(this.#read({}, {}));
  }

  /** The documents of these `_id`s that are there. */
  byIds(ids: readonly unknown[]): AsyncGenerator<DocumentBatch, void, void> {
    return this.#read({ _id: { $in: ids } }, {});
  }

  /** The same, but of each document the `_id` alone. */
  idsAmong(ids: readonly unknown[]): AsyncGenerator<DocumentBatch, void, void> {
    return this.#read({ _id: { $in: ids } }, { projection: { _id: 1 } });
  }

  async *#read(filter: Document, options: FindOptions): AsyncGenerator<DocumentBatch, void, void> {
    await using cursor = this.#collection.find(filter, { ...this.#options, ...options });
    for (;;) {
      const first = await this.#next(cursor);
      if (first === null) return;
      yield [first, ...(cursor.readBufferedDocuments() as unknown as Uint8Array[])];
    }
  }

  /** With `raw` the driver yields buffers, whatever its types say. */
  async #next(cursor: FindCursor): Promise<Uint8Array | null> {
    try {
      return (await cursor.next()) as Uint8Array | null;
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      throw mongoError(error, `reading the collection ${this.#collection.collectionName}`);
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
