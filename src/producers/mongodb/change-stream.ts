import type { Db, Document } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
import { committedByMs } from "../../schemas/change-event.ts";
import type { Position, Version } from "../../schemas/change-event.ts";
import { patternSource } from "../../schemas/collection-selection.ts";
import type { CollectionSelection } from "../../schemas/collection-selection.ts";
import type { StreamEvent } from "../order/plan-images.ts";
import { clusterTimes } from "./client.ts";
import { tokenTime, versionTimestamp } from "./cluster-time.ts";
import { INTERNAL_NAME } from "./collections.ts";
import { RawCursor } from "./cursor.ts";
import type { CursorBatch } from "./cursor.ts";
import { isCursorLost, isEventTooLarge, isStreamLost } from "./errors.ts";
import { readStreamEvent, readWallTimeMs } from "./stream-event.ts";

/** Consecutive events of the stream, and the stream's position after them. */
export interface StreamBatch {
  readonly events: readonly StreamEvent[];
  /** `_data` of the resume token. */
  readonly resumeToken: string;
  /** All events up to this time have been read, except perhaps the rest of one MongoDB transaction. */
  readonly clusterTime: Version;
  /** Whether that transaction, too, has been read to its end: the server had no more events. */
  readonly isWhole: boolean;
  /** The time of the last event; undefined if there is none. */
  readonly lastEvent?: Version | undefined;
  /** When the first event's change was committed, by MongoDB's clock, ms since 1970; null if there is none. */
  readonly committedMs: number | null;
}

/** Where a stream begins. */
export type StreamStart = Pick<Position, "resumeToken" | "clusterTime">;

export interface ChangeStreamOptions {
  readonly collections: CollectionSelection;
  readonly signal: AbortSignal;
}

/** Most events of one batch, and so of one Kafka transaction. */
const BATCH_EVENTS = 4_000;
const DOING = "reading the change stream";
/** How long the server waits for an event in one look for it. */
const LOOK_MS = 100;

/**
 * Follows the database's change stream, which has no end. A cursor that the server has dropped (idle for too long, a new
 * primary) is opened again at the last token; so is one that ended because the database was dropped.
 *
 * MongoDB fails a whole batch when one of its events has more than 16 MB. Such a batch is read without documents.
 */
export class ChangeStream {
  readonly #db: Db;
  readonly #options: ChangeStreamOptions;
  #cursor: RawCursor | null = null;
  #at: StreamStart | null;
  #withDocuments = true;
  /** Whether the cursor was opened again because the server had dropped it, and has not read anything since. */
  #isReopened = false;

  /** @param start null: from now on */
  constructor(db: Db, start: StreamStart | null, options: ChangeStreamOptions) {
    this.#db = db;
    this.#at = start;
    this.#options = options;
  }

  /**
   * Reads the next batch. The first one is empty: it tells where the stream begins.
   * @param maxAwaitTimeMs how long the server waits for events before it replies with none
   * @throws HeadraceError, classified; STREAM_LOST if the stream cannot begin at its start; EVENT_TOO_LARGE if an event is
   * too large even without its document
   */
  async next(maxAwaitTimeMs: number): Promise<StreamBatch> {
    for (;;) {
      try {
        const batch = await this.#read(maxAwaitTimeMs);
        this.#at = batch;
        return batch;
      } catch (error) {
        await this.close();
        if (this.#withDocuments && isEventTooLarge(error)) this.#withDocuments = false;
        else if (this.#isReopened || !isCursorLost(error)) throw error;
        else this.#isReopened = true;
      }
    }
  }

  /** Closes the cursor. The next read would open another one. */
  async close(): Promise<void> {
    const cursor = this.#cursor;
    this.#cursor = null;
    await cursor?.close();
  }

  async #read(maxAwaitTimeMs: number): Promise<StreamBatch> {
    const isFirst = this.#cursor === null;
    const cursor = (this.#cursor ??= new RawCursor(this.#db, "$cmd.aggregate", {
      signal: this.#options.signal,
      doing: DOING,
    }));
    const reply = isFirst
      ? await cursor.open(aggregateCommand(this.#at, this.#withDocuments, this.#options))
      : await cursor.more({ batchSize: BATCH_EVENTS, maxTimeMS: maxAwaitTimeMs });
    if (!isFirst) this.#isReopened = false;
    const batch = streamBatch(reply, this.#at, isFirst);
    // A cursor ends after an invalidate event, and the next one starts after that event.
    const isDone = cursor.isAtEnd || (!this.#withDocuments && batch.events.length > 0);
    if (isDone) {
      this.#withDocuments = true;
      await this.close();
    }
    return batch;
  }
}

/**
 * Whether the database has an event at exactly this time. True also if the oplog no longer reaches back to it.
 * @throws HeadraceError, classified
 */
export async function hasEventAt(db: Db, time: Version, signal: AbortSignal): Promise<boolean> {
  // A stream that begins in the future would wait for it.
  if ((await clusterTimes(db)).latest < time) return false;
  const cursor = new RawCursor(db, "$cmd.aggregate", { signal, doing: "looking for the last event" });
  try {
    await cursor.open({
      aggregate: 1,
      pipeline: [{ $changeStream: { startAtOperationTime: versionTimestamp(time) } }, { $project: { clusterTime: 1 } }],
      cursor: { batchSize: 0 },
      readConcern: { level: "majority" },
    });
    for (;;) {
      const { documents, resumeToken } = await cursor.more({ batchSize: 1, maxTimeMS: LOOK_MS });
      const reached = tokenTime(resumeToken);
      if (documents.length > 0) return reached === time;
      if (reached > time) return false;
    }
  } catch (error) {
    if (isStreamLost(error)) return true;
    throw error;
  } finally {
    await cursor.close();
  }
}

function aggregateCommand(
  start: StreamStart | null,
  withDocuments: boolean,
  { collections }: ChangeStreamOptions,
): Document {
  return {
    aggregate: 1,
    pipeline: [
      { $changeStream: startOptions(start) },
      { $match: collectionFilter(collections) },
      // The largest part of an update's event, and not needed: the document itself is read.
      { $project: { updateDescription: 0, ...(withDocuments ? {} : { fullDocument: 0 }) } },
    ],
    cursor: { batchSize: 0 },
    readConcern: { level: "majority" },
  };
}

/** `startAfter` takes every token, also that of an invalidate. */
function startOptions(start: StreamStart | null): Document {
  if (start === null) return {};
  if (start.resumeToken !== null) return { startAfter: { _data: start.resumeToken } };
  return { startAtOperationTime: versionTimestamp(start.clusterTime) };
}

/**
 * Includes renames to one of the collections. The event of a dropped database names no collection. What MongoDB lets through
 * beyond that, `CollectionWatch.sift` takes out.
 */
function collectionFilter({ named, others }: CollectionSelection): Document {
  const renames = others === null ? { "to.coll": { $in: named } } : { "to.coll": { $exists: true } };
  return {
    $or: [
      { "ns.coll": { $in: named } },
      ...(others === null ? [] : [{ $and: othersFilter(others) }]),
      renames,
      { operationType: { $in: ["dropDatabase", "invalidate"] } },
    ],
  };
}

function othersFilter({ include, exclude }: NonNullable<CollectionSelection["others"]>): Document[] {
  const matches = (pattern: string): Document => ({ "ns.coll": { $regex: patternSource(pattern) } });
  return [
    { "ns.coll": { $not: INTERNAL_NAME } },
    ...(include === null ? [] : [{ $or: include.map(matches) }]),
    ...(exclude.length === 0 ? [] : [{ $nor: exclude.map(matches) }]),
  ];
}

/** @param isFirst the cursor has only been opened: its batch is empty, whatever the server has */
function streamBatch(
  { documents, resumeToken }: CursorBatch,
  before: StreamStart | null,
  isFirst: boolean,
): StreamBatch {
  const events = documents.map(readStreamEvent);
  const clusterTime = timeAfter(resumeToken, before);
  let time = before?.clusterTime ?? 0n;
  for (const version of [...events.map((event) => event.version), clusterTime]) {
    if (version < time) throw timeFell();
    time = version;
  }
  const isWhole = events.length === 0 && !isFirst;
  const committedMs = commitTimeMs(documents[0], events[0]);
  return { events, resumeToken, clusterTime, isWhole, lastEvent: events.at(-1)?.version, committedMs };
}

function commitTimeMs(raw: Uint8Array | undefined, event: StreamEvent | undefined): number | null {
  if (raw === undefined || event === undefined) return null;
  return readWallTimeMs(raw) ?? committedByMs(event.version, Date.now());
}

/**
 * The time of a token that has no event is before the events of that time. The first token of a new stream is of a time
 * that is still to come, and it does not change until the stream has read something.
 */
function timeAfter(resumeToken: string, before: StreamStart | null): Version {
  if (before === null) return tokenTime(resumeToken) - 1n;
  return resumeToken === before.resumeToken ? before.clusterTime : tokenTime(resumeToken);
}

function timeFell(): HeadraceError {
  return new HeadraceError("STREAM_DISORDERED", {
    message: "MongoDB's change stream went back in time.",
  });
}
