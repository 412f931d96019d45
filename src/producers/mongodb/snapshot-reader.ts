import { BSON } from "mongodb";
import type { Db, Document } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
import { counted } from "../../runtime/counted.ts";
import { retry } from "../../runtime/retry.ts";
import { pause } from "../../runtime/waiting.ts";
import type { Version } from "../../schemas/change-event.ts";
import { matchingBoth } from "../../schemas/filter.ts";
import { readFilter } from "../../schemas/signal.ts";
import { NOT_BY_ID } from "../order/chunk-reader.ts";
import type { Chunk, ChunkRequest } from "../order/chunk-reader.ts";
import { clusterTimes } from "./client.ts";
import { versionTimestamp } from "./cluster-time.ts";
import { RawCursor } from "./cursor.ts";
import { isSentBackUnchanged, keyDocument, readId } from "./document-key.ts";
import { filterError } from "./errors.ts";
import { readIds } from "./id-reader.ts";

export interface SnapshotOptions {
  /** Most documents of a read. It may give fewer, because a reply of MongoDB has at most 16 MB. */
  readonly chunkDocuments: number;
  /** The collection's filter: documents that do not match it do not exist. Null: it has none. */
  readonly filter: Document | null;
  readonly signal: AbortSignal;
}

/** How long a failed read is retried here, ms: it may fail for a short time, for example during an index build. */
const RETRY_MS = 10_000;

/** How often to look whether MongoDB has reached a time, ms. */
const LOOK_MS = 100;

/** A read is split into chunks of this many documents, so that changes can be published between them. */
const PART_DOCUMENTS = 250;

/** Most documents that one read by a filter examines: it must end while MongoDB can still read its time. */
const SCAN_DOCUMENTS = 20_000;
/** Among this many documents there should be two neighbours whose keys the driver can send back. */
const SCAN_END_DOCUMENTS = 20;

/**
 * Reads chunks of one time along the `_id` index of the collection. It uses bounds of the index, because `$gt` would skip
 * `_id`s of other BSON types. A collection that does not exist is empty.
 * @throws HeadraceError, classified; SIGNAL_FAILED (poison) if MongoDB refuses the signal's filter; FILTER_REFUSED if it
 * cannot apply the collection's filter to a document
 */
export async function readChunk(db: Db, request: ChunkRequest, options: SnapshotOptions): Promise<readonly Chunk[]> {
  const { signal: asked } = request.selection ?? {};
  const { filter, signal } = options;
  const read = async (): Promise<readonly Chunk[]> => {
    if (asked?.ids !== undefined) return [await readIds(db, request, asked.ids, options)];
    const wanted = asked?.filter === undefined ? filter : matchingBoth(readFilter(asked.filter), filter);
    return await tryChunk(db, request, wanted, options);
  };
  try {
    if (request.selection === null && request.after === null) await untilTime(db, request.notBefore, signal);
    return await retry(read, { signal, maxElapsedMs: RETRY_MS });
  } catch (error) {
    if (asked?.filter !== undefined && isOfFilter(error)) throw filterFailed(error);
    throw filter === null ? error : filterError(error, request.collection);
  }
}

/**
 * Waits until MongoDB has reached a time: it refuses to read what is still to come. A snapshot may have to begin after
 * everything that was published before (`sweepBelow`). Without writes, MongoDB's time moves every 10 s.
 */
async function untilTime(db: Db, time: Version, signal: AbortSignal): Promise<void> {
  const now = () => retry(() => clusterTimes(db), { signal, maxElapsedMs: RETRY_MS });
  while ((await now()).latest < time) await pause(LOOK_MS, signal);
}

/** @param filter null: all documents */
async function tryChunk(
  db: Db,
  { collection, selection, after, notBefore }: ChunkRequest,
  filter: Document | null,
  { chunkDocuments, signal }: SnapshotOptions,
): Promise<readonly Chunk[]> {
  const doing = `reading the collection ${JSON.stringify(collection)}`;
  const cursor = new RawCursor(db, collection, { signal, doing });
  const bound = after === null ? null : BSON.EJSON.parse(after, { relaxed: false });
  // The bound is inclusive.
  const limit = chunkDocuments + (bound === null ? 0 : 1);
  try {
    const scanEnd = filter === null ? null : await findScanEnd(cursor, collection, bound);
    const query = { bound, filter: filter ?? {}, limit, notBefore, max: scanEnd?.max ?? null };
    const { documents: first, atClusterTime, operationTime } = await cursor.find(findCommand(collection, query));
    const version = atClusterTime ?? operationTime;
    const read = [...first];
    // A document of nearly 16 MB fills the reply. If it is the bound, which was read before, one more reply is needed.
    if (!cursor.isAtEnd && read.length === 1 && bound !== null) read.push(...(await cursor.more()).documents);
    const documents = isBound(read[0], bound) ? read.slice(1) : read;
    const isScanned = cursor.isAtEnd && read.length < limit;
    const isLast = isScanned && scanEnd === null;
    const next = isScanned ? (scanEnd?.after ?? null) : lastKey(collection, documents);
    return inParts(documents, after, { ...NOT_BY_ID, collection, selection, version, after: next, isLast });
  } finally {
    await cursor.close();
  }
}

/** Where a read by a filter ends, if that is before the end of the collection. */
interface ScanEnd {
  /** The upper bound in the index, exclusive. */
  readonly max: Document;
  /** Where the next read begins. */
  readonly after: string;
}

async function findScanEnd(cursor: RawCursor, collection: string, bound: Document | null): Promise<ScanEnd | null> {
  const command = {
    find: collection,
    projection: { _id: 1 },
    sort: { _id: 1 },
    hint: { _id: 1 },
    ...(bound === null ? {} : { min: bound }),
    skip: SCAN_DOCUMENTS,
    limit: SCAN_END_DOCUMENTS,
    singleBatch: true,
  };
  const { documents } = await cursor.find(command);
  if (documents.length < 2) return null;
  for (const [index, key] of documents.entries()) {
    const next = documents[index + 1];
    const [after, max] = [boundOf([key]), next === undefined ? null : boundOf([next])];
    if (after !== null && max !== null) return { after, max: BSON.EJSON.parse(max, { relaxed: false }) };
  }
  throw noBound(collection, documents.length);
}

/**
 * Splits a read into chunks.
 * @param start where the first chunk begins, as `ChunkRequest.after`
 * @param end the fields of the last chunk
 */
function inParts(
  documents: readonly Uint8Array[],
  start: string | null,
  end: Omit<Chunk, "documents">,
): readonly Chunk[] {
  const parts: Chunk[] = [];
  let [from, after] = [0, start];
  for (; from + PART_DOCUMENTS < documents.length; from += PART_DOCUMENTS) {
    const part = documents.slice(from, from + PART_DOCUMENTS);
    after = boundOf(part) ?? after;
    parts.push({ ...end, documents: part, after, isLast: false });
  }
  return [...parts, { ...end, documents: documents.slice(from) }];
}

interface ChunkQuery {
  readonly bound: Document | null;
  readonly max: Document | null;
  readonly filter: Document;
  readonly limit: number;
  readonly notBefore: Version;
}

function findCommand(collection: string, { bound, max, filter, limit, notBefore }: ChunkQuery): Document {
  return {
    find: collection,
    filter,
    sort: { _id: 1 },
    hint: { _id: 1 },
    ...(bound === null ? {} : { min: bound }),
    ...(max === null ? {} : { max }),
    limit,
    batchSize: limit,
    readConcern: { level: "snapshot", afterClusterTime: versionTimestamp(notBefore) },
  };
}

/** Whether this is the last document of the chunk before. It may have been deleted since. */
function isBound(document: Uint8Array | undefined, bound: Document | null): boolean {
  if (document === undefined || bound === null) return false;
  return Buffer.compare(keyDocument(document), BSON.serialize(bound)) === 0;
}

function lastKey(collection: string, documents: readonly Uint8Array[]): string {
  const bound = boundOf(documents);
  if (bound === null) throw noBound(collection, documents.length);
  return bound;
}

/** The last key that can be a bound; null if none can. Nearly all can, see `isSentBackUnchanged`. */
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

/** Whether the filter may be the cause. It is not if the collection is of another kind or the server fails. */
function isOfFilter(error: unknown): boolean {
  const code = error instanceof HeadraceError ? error.code : undefined;
  return code === "MONGODB_UNEXPECTED" || code === "SNAPSHOT_KEYS_UNREADABLE";
}

function filterFailed(error: unknown): HeadraceError {
  const message = "MongoDB could not read documents by the filter of a signal.";
  return new HeadraceError("SIGNAL_FAILED", { message }, error);
}

function noBound(collection: string, count: number): HeadraceError {
  return new HeadraceError("SNAPSHOT_KEYS_UNREADABLE", {
    message: `The snapshot of ${JSON.stringify(collection)} cannot find its next chunk: none of the _ids of the last ${counted(count, "document")} can be used in a query (dates outside JavaScript's range, text that is not UTF-8, or a name that occurs twice).`,
  });
}
