import type { Db, Document } from "mongodb";
import type { Version } from "../../schemas/change-event.ts";
import { matchingBoth } from "../../schemas/filter.ts";
import { keyToId } from "../../schemas/keys/document-key.ts";
import { readSignalId } from "../../schemas/signal.ts";
import type { SignalId } from "../../schemas/signal.ts";
import type { Chunk, ChunkRequest } from "../order/chunk-reader.ts";
import { versionTimestamp } from "./cluster-time.ts";
import { RawCursor } from "./cursor.ts";
import { keyOf } from "./document-key.ts";

/** Most ids of one chunk. Publishing a chunk must not delay a change for long. */
const CHUNK_IDS = 250;
/** Most bytes of their texts. MongoDB accepts commands of 16 MB. */
const CHUNK_ID_BYTES = 4 * 1024 * 1024;

/**
 * Reads the documents of a signal's next ids at one time: as many as fit into one reply of MongoDB.
 * @param options `filter`: as in `SnapshotOptions`
 */
export async function readIds(
  db: Db,
  { collection, selection, after, notBefore }: ChunkRequest,
  ids: readonly SignalId[],
  { filter, signal }: { readonly filter: Document | null; readonly signal: AbortSignal },
): Promise<Chunk> {
  const from = Number(after ?? 0);
  let some = firstOf(ids.slice(from, from + CHUNK_IDS));
  let reply = await find(db, { collection, ids: some, filter, notBefore, signal });
  while (!reply.isComplete) {
    some = some.slice(0, Math.max(1, Math.floor(reply.documents.length / 2)));
    reply = await find(db, { collection, ids: some, filter, notBefore, signal });
  }
  const wanted = new Map(some.map((each) => [keyOf(readSignalId(each.id)), each]));
  // With a collation, `$in` also finds documents that have other ids.
  const documents = reply.documents.filter((document) => wanted.has(keyOf(document)));
  const found = new Set(documents.map(keyOf));
  const absent = [...wanted].filter(([key]) => !found.has(key)).map(([, { id }]) => readSignalId(id));
  const deadLetters = [...wanted].flatMap(([key, { deadLetter }]) =>
    deadLetter === undefined ? [] : [[key, deadLetter] as const],
  );
  const next = from + some.length;
  const isLast = next >= ids.length;
  return {
    collection,
    selection,
    documents,
    absent,
    deadLetters: new Map(deadLetters),
    version: reply.version,
    after: isLast ? null : String(next),
    isLast,
  };
}

function firstOf(ids: readonly SignalId[]): readonly SignalId[] {
  let bytes = 0;
  const end = ids.findIndex(({ id }) => (bytes += Buffer.byteLength(id)) > CHUNK_ID_BYTES);
  return end === -1 ? ids : ids.slice(0, Math.max(1, end));
}

interface IdsQuery {
  readonly collection: string;
  readonly ids: readonly SignalId[];
  readonly filter: Document | null;
  readonly notBefore: Version;
  readonly signal: AbortSignal;
}

interface ReadDocuments {
  readonly documents: readonly Uint8Array[];
  /** The time of the read. */
  readonly version: Version;
  /** Whether the reply has all of them. */
  readonly isComplete: boolean;
}

async function find(db: Db, { collection, ids, filter, notBefore, signal }: IdsQuery): Promise<ReadDocuments> {
  const doing = `reading documents of ${JSON.stringify(collection)} by their _id`;
  const cursor = new RawCursor(db, collection, { signal, doing });
  const command = (since: Version) => ({
    find: collection,
    filter: matchingBoth({ _id: { $in: ids.map(({ id }) => keyToId("mixed", id)) } }, filter),
    // One more than there can be: a batch that is full does not show that the cursor is at its end.
    batchSize: ids.length + 1,
    readConcern: { level: "snapshot", afterClusterTime: versionTimestamp(since) },
  });
  try {
    let reply = await cursor.find(command(notBefore));
    let version = reply.atClusterTime;
    if (version === null) {
      // The collection did not exist at some time before the reply. If a later read does not find it either, it did not
      // exist at the time of the reply.
      version = reply.operationTime;
      reply = await cursor.find(command(version));
      version = reply.atClusterTime ?? version;
    }
    return { documents: reply.documents, version, isComplete: cursor.isAtEnd };
  } finally {
    await cursor.close();
  }
}
