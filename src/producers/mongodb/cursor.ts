import { Long } from "mongodb";
import type { ClientSession, Db, Document, RunCommandOptions, Timestamp } from "mongodb";
import type { Version } from "../../schemas/change-event.ts";
import { timestampVersion } from "./cluster-time.ts";
import { NOT_A_VIEW, isCapped } from "./collections.ts";
import { isOfView, isSnapshotGone, mongoError, refusedAt } from "./errors.ts";

/** One batch of a cursor, with the fields that the driver's own cursors hide. */
export interface CursorBatch {
  /** Raw BSON; views on the server's reply. */
  readonly documents: readonly Uint8Array[];
  /** For a change stream: `_data` of the resume token after the batch; empty for other reads. */
  readonly resumeToken: string;
  /** For a snapshot read: its cluster time; null if the collection does not exist. */
  readonly atClusterTime: Version | null;
  /** The node's time when it replied. */
  readonly operationTime: Version;
}

export interface CursorOptions {
  readonly signal: AbortSignal;
  /** What the cursor is for, in error messages: `reading the change stream`. */
  readonly doing: string;
}

/** Options of a getMore. */
export interface MoreOptions {
  /** Most documents of the batch. */
  readonly batchSize?: number;
  /** For a change stream: how long the server waits for events before it replies with none, ms. */
  readonly maxTimeMS?: number;
}

/**
 * BSON integers keep their type: the server refuses a cursor id that is sent back as a double. Not `useBigInt64`: the driver's
 * monitor takes the topology version of a reply (of a node that is not the primary any more) for a Long or a number, and ends
 * the process where it is a bigint.
 */
const RAW_BATCHES = { promoteLongs: false, fieldsAsRaw: { firstBatch: true, nextBatch: true } };

/** A cursor on the primary, read with raw commands. It holds a session until `close`. */
export class RawCursor {
  readonly #db: Db;
  readonly #collection: string;
  readonly #session: ClientSession;
  readonly #options: CursorOptions;
  /** 0: the cursor is at its end. */
  #id = Long.ZERO;

  /** @param collection the one that getMore names; `$cmd.aggregate` for an aggregation of the whole database */
  constructor(db: Db, collection: string, options: CursorOptions) {
    this.#db = db;
    this.#collection = collection;
    this.#options = options;
    // Without causal consistency: the driver would add to the read concern.
    this.#session = db.client.startSession({ causalConsistency: false });
  }

  get isAtEnd(): boolean {
    return this.#id.isZero();
  }

  /**
   * Runs a command that opens the cursor. A cursor that is at its end can be opened again.
   * @returns its first batch
   * @throws HeadraceError, classified; the signal's reason as it is
   */
  open(command: Document): Promise<CursorBatch> {
    return this.#run(command);
  }

  /**
   * Opens the cursor with a find. A view and a capped collection, which cannot be replicated, count as a collection that
   * does not exist.
   */
  async find(command: Document): Promise<CursorBatch> {
    try {
      return await this.open({ ...command, ...NOT_A_VIEW });
    } catch (error) {
      const time = refusedAt(error);
      const isUnfit = isOfView(error) || (isSnapshotGone(error) && (await isCapped(this.#db, this.#collection)));
      if (time === null || !isUnfit) throw error;
      return { documents: [], resumeToken: "", atClusterTime: null, operationTime: timestampVersion(time) };
    }
  }

  /** Reads the next batch; the cursor must not be at its end. @throws as `open` */
  more(options: MoreOptions = {}): Promise<CursorBatch> {
    return this.#run({ getMore: this.#id, collection: this.#collection, ...options });
  }

  /** Frees the cursor on the server, if it is not at its end, and the session. */
  async close(): Promise<void> {
    const session = this.#session;
    try {
      if (!this.isAtEnd) await this.#db.command({ killCursors: this.#collection, cursors: [this.#id] }, { session });
    } catch {
      // The server drops an idle cursor after a while.
    } finally {
      await session.endSession();
    }
  }

  async #run(command: Document): Promise<CursorBatch> {
    const { signal, doing } = this.#options;
    const options: RunCommandOptions = { ...RAW_BATCHES, session: this.#session, signal, readPreference: "primary" };
    let reply: Document;
    try {
      reply = await this.#db.command(command, options);
    } catch (error) {
      signal.throwIfAborted();
      throw mongoError(error, doing);
    }
    const { cursor, operationTime } = reply as { cursor: CursorReply; operationTime: Timestamp };
    this.#id = cursor.id;
    return {
      documents: cursor.firstBatch ?? cursor.nextBatch ?? [],
      resumeToken: cursor.postBatchResumeToken?._data ?? "",
      atClusterTime: cursor.atClusterTime === undefined ? null : timestampVersion(cursor.atClusterTime),
      operationTime: timestampVersion(operationTime),
    };
  }
}

interface CursorReply {
  readonly id: Long;
  readonly firstBatch?: readonly Uint8Array[];
  readonly nextBatch?: readonly Uint8Array[];
  readonly postBatchResumeToken?: { readonly _data: string };
  readonly atClusterTime?: Timestamp;
}
