import { BSON } from "mongodb";
import type { ClientSession, Db, Document } from "mongodb";
import { HeadraceError } from "../runtime/errors.ts";
import { retry } from "../runtime/retry.ts";
import type { Version } from "../schemas/change-event.ts";
import { versionTimestamp } from "./mongo-change-stream.ts";
import { closeCursor, cursorCommand, startCursorSession } from "./mongo-cursor.ts";
import { isSentBackUnchanged, keyDocument, readId } from "./mongo-document-key.ts";
import type { Chunk, ChunkRequest } from "./timeline.ts";

export interface SnapshotOptions {
  /** Most documents of a chunk; it may have fewer, as a reply of MongoDB has at most 16 MB. */
  readonly chunkDocuments: number;
  readonly signal: AbortSignal;
}

/** A read that fails for a passing reason, an index build for example, is repeated in place for this long. */
const RETRY_MS = 10_000;

/**
 * Reads a chunk along the `_id` index of its collection. Bounds of the index, not `$gt`, so that `_id`s of every BSON
 * type are read. A collection that is not there is empty.
 */
export async function readChunk(db: Db, request: ChunkRequest, options: SnapshotOptions): Promise<Chunk> {
  return await retry(() => tryChunk(db, request, options), { signal: options.signal, maxElapsedMs: RETRY_MS });
}

/** Reads one chunk after the other beside other work. */
export class SnapshotReader {
  readonly #read: (request: ChunkRequest) => Promise<Chunk>;
  #reply: Promise<Chunk> | undefined;

  constructor(read: (request: ChunkRequest) => Promise<Chunk>) {
    this.#read = read;
  }

  ask(request: ChunkRequest): void {
    this.#reply = this.#read(request);
    // Whoever awaits it gets the error; a rejection that nobody awaits yet must not end the process.
    this.#reply.catch(() => {});
  }

  /** The answer to the last request. */
  reply(): Promise<Chunk> {
    return this.#reply ?? Promise.reject(new Error("no chunk was asked for"));
  }

  /** Waits for a read that is under way. */
  async close(): Promise<void> {
    await this.#reply?.catch(() => {});
  }
}

async function tryChunk(
  db: Db,
  { collection, after, notBefore }: ChunkRequest,
  { chunkDocuments, signal }: SnapshotOptions,
): Promise<Chunk> {
  const session: ClientSession = startCursorSession(db);
  const run = { session, signal, doing: `reading the collection ${JSON.stringify(collection)}` };
  const bound = after === null ? null : BSON.EJSON.parse(after, { relaxed: false });
  // The bound is inclusive.
  const limit = chunkDocuments + (bound === null ? 0 : 1);
  let id = 0n;
  try {
    let reply = await cursorCommand(db, findCommand(collection, { bound, limit, notBefore }), run);
    const version = reply.atClusterTime ?? reply.operationTime;
    const read = [...reply.documents];
    ({ id } = reply);
    if (id !== 0n && read.length === 1 && bound !== null) {
      // A document of nearly 16 MB, read before, fills the whole reply.
      reply = await cursorCommand(db, { getMore: id, collection }, run);
      ({ id } = reply);
      read.push(...reply.documents);
    }
    const documents = isBound(read[0], bound) ? read.slice(1) : read;
    const isLast = id === 0n && read.length < limit;
    return { collection, documents, version, after: isLast ? null : lastKey(collection, documents), isLast };
  } finally {
    await closeCursor(db, collection, id, session);
  }
}

interface ChunkQuery {
  readonly bound: Document | null;
  readonly limit: number;
  readonly notBefore: Version;
}

function findCommand(collection: string, { bound, limit, notBefore }: ChunkQuery): Document {
  return {
    find: collection,
    filter: {},
    sort: { _id: 1 },
    hint: { _id: 1 },
    ...(bound === null ? {} : { min: bound }),
    limit,
    batchSize: limit,
    readConcern: { level: "snapshot", afterClusterTime: versionTimestamp(notBefore) },
  };
}

/** The document that the chunk before ended with; it need not be there any more. */
function isBound(document: Uint8Array | undefined, bound: Document | null): boolean {
  if (document === undefined || bound === null) return false;
  return Buffer.compare(keyDocument(document), BSON.serialize(bound)) === 0;
}

/** The last key that can be a bound: most can, see `isSentBackUnchanged`. */
function lastKey(collection: string, documents: readonly Uint8Array[]): string {
  for (const document of documents.toReversed()) {
    const key = keyDocument(document);
    const text = BSON.EJSON.stringify({ _id: readId(key) }, { relaxed: false });
    if (
      isSentBackUnchanged(key) &&
      Buffer.compare(BSON.serialize(BSON.EJSON.parse(text, { relaxed: false })), key) === 0
    ) {
      return text;
    }
  }
  throw new HeadraceError("SNAPSHOT_KEYS_UNREADABLE", "fatal", {
    message: `The snapshot of ${JSON.stringify(collection)} cannot go on: none of ${documents.length} documents has an _id that can be asked for (dates beyond JavaScript's range, text that is no UTF-8, one name twice).`,
    remedy: "Make snapshot.chunkDocuments larger, or leave the collection out.",
  });
}
