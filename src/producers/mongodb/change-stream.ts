import type { Db, Document } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
import type { Position, Version } from "../../schemas/change-event.ts";
import type { StreamEvent } from "../order/plan-images.ts";
import { versionTimestamp } from "./cluster-time.ts";
import { INTERNAL_NAME } from "./collections.ts";
import { closeCursor, cursorCommand, startCursorSession } from "./cursor.ts";
import type { CursorBatch } from "./cursor.ts";
import { isCursorLost, isEventTooLarge } from "./errors.ts";
import { readStreamEvent } from "./stream-event.ts";

/** Consecutive events of the stream, and where it stands after them. */
export interface StreamBatch {
  readonly events: readonly StreamEvent[];
  /** `_data` of the token. */
  readonly resumeToken: string;
  /** Every event up to this time has been seen, but for what is left of one MongoDB transaction. */
  readonly clusterTime: Version;
  /** Whether nothing is left of that transaction: there was nothing more to read. */
  readonly isWhole: boolean;
}

export interface ChangeStreamOptions {
  /** Null: all that are not MongoDB's own. */
  readonly collections: readonly string[] | null;
  /** Null: from now on. */
  readonly start: Pick<Position, "resumeToken" | "clusterTime"> | null;
  /** How long the server waits for events before it answers with none; asked each time. */
  readonly maxAwaitTimeMs: () => number;
  readonly signal: AbortSignal;
}

/** Most events of one batch; hence most of one Kafka transaction. */
const BATCH_EVENTS = 4_000;
const DOING = "reading the change stream";

/**
 * Tails the database's change stream. The first batch is empty: it says where the stream begins. A cursor that
 * the server has dropped (it was idle too long, the primary changed) is opened again at the last token, and so is
 * one that ended as the database was dropped.
 *
 * An event of more than 16 MB fails with all that were to come in its batch: that batch is read without documents.
 * @throws HeadraceError, classified; STREAM_LOST where it cannot begin at `start`; EVENT_TOO_LARGE
 * where an event is too large even without its document
 */
export async function* changeStream(db: Db, options: ChangeStreamOptions): AsyncGenerator<StreamBatch, void, void> {
  let last: StreamBatch | null = null;
  let withDocuments = true;
  for (;;) {
    try {
      for await (const batch of openStream(db, { ...options, start: last ?? options.start, withDocuments })) {
        last = batch;
        yield batch;
        if (!withDocuments && batch.events.length > 0) break;
      }
      withDocuments = true;
    } catch (error) {
      if (withDocuments && isEventTooLarge(error)) withDocuments = false;
      else if (!isCursorLost(error)) throw error;
    }
  }
}

interface OpenOptions extends ChangeStreamOptions {
  readonly withDocuments: boolean;
}

/** Ends only with an invalidate, after which a new stream can begin. */
async function* openStream(db: Db, options: OpenOptions): AsyncGenerator<StreamBatch, void, void> {
  const session = startCursorSession(db);
  const run = { session, signal: options.signal, doing: DOING };
  const more = { collection: "$cmd.aggregate", batchSize: BATCH_EVENTS };
  let before = options.start;
  let id = 0n;
  let isFirst = true;
  try {
    let reply = await cursorCommand(db, aggregateCommand(options), run);
    for (;;) {
      ({ id } = reply);
      const batch = streamBatch(reply, before, isFirst);
      yield batch;
      isFirst = false;
      if (id === 0n) return;
      before = batch;
      reply = await cursorCommand(db, { getMore: id, ...more, maxTimeMS: options.maxAwaitTimeMs() }, run);
    }
  } finally {
    await closeCursor(db, more.collection, id, session);
  }
}

function aggregateCommand({ start, collections, withDocuments }: OpenOptions): Document {
  return {
    aggregate: 1,
    pipeline: [
      { $changeStream: startOptions(start) },
      { $match: collectionFilter(collections) },
      // The largest part of an update's event; the document is read anyway.
      { $project: { updateDescription: 0, ...(withDocuments ? {} : { fullDocument: 0 }) } },
    ],
    cursor: { batchSize: 0 },
    readConcern: { level: "majority" },
  };
}

/** `startAfter` takes every token, that of an invalidate too. */
function startOptions(start: ChangeStreamOptions["start"]): Document {
  if (start === null) return {};
  if (start.resumeToken !== null) return { startAfter: { _data: start.resumeToken } };
  return { startAtOperationTime: versionTimestamp(start.clusterTime) };
}

/** A rename into a collection counts as an event of it; a dropped database's event names no collection. */
function collectionFilter(collections: readonly string[] | null): Document {
  if (collections === null) {
    return { $or: [{ "ns.coll": { $not: INTERNAL_NAME } }, { "to.coll": { $exists: true } }] };
  }
  return {
    $or: [
      { "ns.coll": { $in: collections } },
      { "to.coll": { $in: collections } },
      { operationType: { $in: ["dropDatabase", "invalidate"] } },
    ],
  };
}

/** @param isFirst nothing has been read yet, the batch is empty in any case */
function streamBatch(
  { documents, resumeToken }: CursorBatch,
  before: ChangeStreamOptions["start"],
  isFirst: boolean,
): StreamBatch {
  if (resumeToken === null) throw noToken();
  const events = documents.map(readStreamEvent);
  const clusterTime = timeAfter(resumeToken, before);
  let time = before?.clusterTime ?? 0n;
  for (const version of [...events.map((event) => event.version), clusterTime]) {
    if (version < time) throw timeFell();
    time = version;
  }
  return { events, resumeToken, clusterTime, isWhole: events.length === 0 && !isFirst };
}

/**
 * A token without an event stands before the events of its time. The first one of a new stream is one of a time
 * that is still to come; it stays the same until something has been read.
 */
function timeAfter(resumeToken: string, before: ChangeStreamOptions["start"]): Version {
  if (before === null) return tokenTime(resumeToken) - 1n;
  return resumeToken === before.resumeToken ? before.clusterTime : tokenTime(resumeToken);
}

/** A token is hex: the byte 82, then the seconds and the increment of its time, four bytes each. */
function tokenTime(resumeToken: string): Version {
  const time = /^82([0-9A-F]{16})/i.exec(resumeToken)?.[1];
  if (time === undefined) throw noToken();
  return BigInt(`0x${time}`);
}

function timeFell(): HeadraceError {
  return new HeadraceError("STREAM_DISORDERED", {
    message: "MongoDB's change stream went back in time.",
  });
}

function noToken(): HeadraceError {
  return new HeadraceError("RESUME_TOKEN_UNREADABLE", {
    message: "MongoDB's change stream gave no resume token that begins with a cluster time.",
  });
}
