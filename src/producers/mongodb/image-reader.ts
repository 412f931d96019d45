import type { Db, Document } from "mongodb";
import type { ChangeEvent, Version } from "../../schemas/change-event.ts";
import { matchingBoth } from "../../schemas/filter.ts";
import type { FilterOf } from "../../schemas/filter.ts";
import { imageEvent, unreadableEvent } from "../order/plan-images.ts";
import type { ImageRead, KeyOf } from "../order/plan-images.ts";
import { versionTimestamp } from "./cluster-time.ts";
import { RawCursor } from "./cursor.ts";
import type { CursorBatch } from "./cursor.ts";
import { isSentBackUnchanged, readId } from "./document-key.ts";
import { filterError } from "./errors.ts";

export interface ImageReaderOptions {
  readonly keyOf: KeyOf;
  readonly filterOf: FilterOf;
  readonly signal: AbortSignal;
}

/** The collection of a read does not exist. Its documents cannot be read at an earlier time either. */
export class CollectionGone extends Error {
  override readonly name = "CollectionGone";
  readonly collection: string;
  /** The time at which it did not exist. */
  readonly at: Version;

  constructor(collection: string, at: Version) {
    super(`collection ${collection} is gone`);
    this.collection = collection;
    this.at = at;
  }
}

/** Most keys of one query. */
const READ_KEYS = 1_000;
/** Most bytes of one query's keys. MongoDB accepts commands of 16 MB. */
const READ_KEY_BYTES = 8 * 1024 * 1024;

/**
 * Reads documents as they were at one cluster time and yields an event for each, in any order. One yield has the events
 * of one reply (at most 16 MB). A document that does not match its collection's filter at that time does not exist.
 * @param gone collections that do not exist at that time: their documents become deletes
 * @throws CollectionGone for any other collection that does not exist; HeadraceError if the time cannot be read
 * (`isSnapshotGone`) or the server fails
 */
export async function* readImages(
  db: Db,
  reads: readonly ImageRead[],
  at: Version,
  gone: ReadonlySet<string>,
  options: ImageReaderOptions,
): AsyncGenerator<readonly ChangeEvent[], void, void> {
  for (const [collection, ofCollection] of Map.groupBy(reads, (read) => read.collection)) {
    for (const some of slices(ofCollection)) yield* readSome(db, { collection, reads: some, at, gone }, options);
  }
}

interface ReadQuery {
  readonly collection: string;
  readonly reads: readonly ImageRead[];
  readonly at: Version;
  readonly gone: ReadonlySet<string>;
}

async function* readSome(
  db: Db,
  { collection, reads, at, gone }: ReadQuery,
  { keyOf, filterOf, signal }: ImageReaderOptions,
): AsyncGenerator<readonly ChangeEvent[], void, void> {
  const [readable, unreadable] = partition(reads, ({ documentKey }) => isSentBackUnchanged(documentKey));
  if (unreadable.length > 0) yield unreadable.map((read) => unreadableEvent(read, at));
  const missing = new Map(readable.map((read) => [read.key, read]));
  const command = findByIds({ collection, reads: readable, at, filter: filterOf(collection) });
  for await (const reply of find(db, command, signal)) {
    if (reply.atClusterTime === null && !gone.has(collection))
      throw new CollectionGone(collection, reply.operationTime);
    yield reply.documents.flatMap((document) => {
      const key = keyOf(document);
      const read = missing.get(key);
      // With a collation, `$in` also finds documents that have other ids.
      if (read === undefined) return [];
      missing.delete(key);
      return [imageEvent(read, document, at)];
    });
  }
  yield [...missing.values()].map((read) => imageEvent(read, null, at));
}

async function* find(
  db: Db,
  { collection, command, filter }: FindById,
  signal: AbortSignal,
): AsyncGenerator<CursorBatch, void, void> {
  const cursor = new RawCursor(db, collection, { signal, doing: "reading changed documents" });
  try {
    yield await cursor.find(command);
    while (!cursor.isAtEnd) yield await cursor.more({ batchSize: READ_KEYS });
  } catch (error) {
    throw filter === null ? error : filterError(error, collection);
  } finally {
    await cursor.close();
  }
}

interface FindById {
  readonly collection: string;
  readonly command: Document;
  readonly filter: Document | null;
}

function findByIds({ collection, reads, at, filter }: Omit<ReadQuery, "gone"> & Pick<FindById, "filter">): FindById {
  const command = {
    find: collection,
    filter: matchingBoth({ _id: { $in: reads.map((read) => readId(read.documentKey)) } }, filter),
    batchSize: READ_KEYS,
    readConcern: { level: "snapshot", atClusterTime: versionTimestamp(at) },
  };
  return { collection, command, filter };
}

function* slices(reads: readonly ImageRead[]): Generator<readonly ImageRead[]> {
  let slice: ImageRead[] = [];
  let bytes = 0;
  for (const read of reads) {
    slice.push(read);
    bytes += read.documentKey.byteLength;
    if (slice.length < READ_KEYS && bytes < READ_KEY_BYTES) continue;
    yield slice;
    slice = [];
    bytes = 0;
  }
  if (slice.length > 0) yield slice;
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  const { yes = [], no = [] } = Object.groupBy(items, (item) => (test(item) ? "yes" : "no"));
  return [yes, no];
}
