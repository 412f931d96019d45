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

/** A read is given in parts of these many documents, so that changes need not wait for all of it to be published. */
const PART_DOCUMENTS = 250;

/**
 * Reads chunks of one time along the `_id` index of its collection. Bounds of the index, not `$gt`, so that `_id`s of every BSON
 * type are read. A collection that is not there is empty.
 */
export async function readChunk(db: Db, request: ChunkRequest, options: SnapshotOptions): Promise<readonly Chunk[]> {
  return await retry(() => tryChunk(db, request, options), { signal: options.signal, maxElapsedMs: RETRY_MS });
}

/** Reads chunks beside other work. */
export class SnapshotReader {
  readonly #read: (request: ChunkRequest) => Promise<readonly Chunk[]>;
  #reply: Promise<readonly Chunk[]> | undefined;

  constructor(read: (request: ChunkRequest) => Promise<readonly Chunk[]>) {
    this.#read = read;
  }

  ask(request: ChunkRequest): void {
    this.#reply = this.#read(request);
    // Whoever awaits it gets the error; a rejection that nobody awaits yet must not end the process.
    this.#reply.catch(() => {});
  }

  /** The answer to the last request. */
  reply(): Promise<readonly Chunk[]> {
    return this.#reply ?? Promise.reject(new Error("no chunks were asked for"));
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
): Promise<readonly Chunk[]> {
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
    const end = { collection, version, after: isLast ? null : lastKey(collection, documents), isLast };
    return inParts(documents, after, end);
  } finally {
    await closeCursor(db, collection, id, session);
  }
}

/** @param start where the first part begins */
function inParts(
  documents: readonly Uint8Array[],
  start: string | null,
  end: Omit<Chunk, "documents">,
): readonly Chunk[] {
  const { collection, version } = end;
  const parts: Chunk[] = [];
  let [from, after] = [0, start];
  for (; from + PART_DOCUMENTS < documents.length; from += PART_DOCUMENTS) {
    const part = documents.slice(from, from + PART_DOCUMENTS);
    after = boundOf(part) ?? after;
    parts.push({ collection, version, documents: part, after, isLast: false });
  }
  return [...parts, { ...end, documents: documents.slice(from) }];
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

function lastKey(collection: string, documents: readonly Uint8Array[]): string {
  const bound = boundOf(documents);
  if (bound === null) throw noBound(collection, documents.length);
  return bound;
}

/** The last key that can be a bound, if any: most can, see `isSentBackUnchanged`. */
function boundOf(documents: readonly Uint8Array[]): string | null {
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
  return null;
}

function noBound(collection: string, count: number): HeadraceError {
  return new HeadraceError("SNAPSHOT_KEYS_UNREADABLE", {
    message: `The snapshot of ${JSON.stringify(collection)} cannot go on: none of ${count} documents has an _id that can be asked for (dates beyond JavaScript's range, text that is no UTF-8, one name twice).`,
  });
}
