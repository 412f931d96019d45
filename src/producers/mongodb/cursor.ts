import type { ClientSession, Db, Document, RunCommandOptions, Timestamp } from "mongodb";
import type { Version } from "../../schemas/change-event.ts";
import { timestampVersion } from "./cluster-time.ts";
import { mongoError } from "./errors.ts";

/** One batch of a cursor, with what the driver's own cursors keep to themselves. */
export interface CursorBatch {
  /** 0 when the cursor is at its end. */
  readonly id: bigint;
  /** Raw BSON; views on the server's reply. */
  readonly documents: readonly Uint8Array[];
  /** Of a change stream: `_data` of the token after the batch. */
  readonly resumeToken: string | null;
  /** Of a snapshot read; null where the collection does not exist. */
  readonly atClusterTime: Version | null;
  /** The node's time when it answered. */
  readonly operationTime: Version;
}

export interface CursorCommandOptions {
  /** Cursors belong to the session that opened them. */
  readonly session: ClientSession;
  readonly signal: AbortSignal;
  /** What is being done, for error messages. */
  readonly doing: string;
}

/** BSON integers stay what they are: a cursor's id sent back as a double is refused. */
const RAW_BATCHES = { useBigInt64: true, fieldsAsRaw: { firstBatch: true, nextBatch: true } };

/** A session that adds nothing of its own to the read concern. */
export function startCursorSession(db: Db): ClientSession {
  return db.client.startSession({ causalConsistency: false });
}

/**
 * Runs a command that opens or continues a cursor.
 * @throws HeadraceError, classified; an aborted signal's reason as it is
 */
export async function cursorCommand(
  db: Db,
  command: Document,
  { session, signal, doing }: CursorCommandOptions,
): Promise<CursorBatch> {
  const options: RunCommandOptions = { ...RAW_BATCHES, session, signal, readPreference: "primary" };
  let reply: Document;
  try {
    reply = await db.command(command, options);
  } catch (error) {
    signal.throwIfAborted();
    throw mongoError(error, doing);
  }
  const { cursor, operationTime } = reply as { cursor: CursorReply; operationTime: Timestamp };
  return {
    id: cursor.id,
    documents: cursor.firstBatch ?? cursor.nextBatch ?? [],
    resumeToken: cursor.postBatchResumeToken?._data ?? null,
    atClusterTime: cursor.atClusterTime === undefined ? null : timestampVersion(cursor.atClusterTime),
    operationTime: timestampVersion(operationTime),
  };
}

interface CursorReply {
  readonly id: bigint;
  readonly firstBatch?: readonly Uint8Array[];
  readonly nextBatch?: readonly Uint8Array[];
  readonly postBatchResumeToken?: { readonly _data: string };
  readonly atClusterTime?: Timestamp;
}

/** Frees a cursor that is not read to its end, and its session. */
export async function closeCursor(db: Db, collection: string, id: bigint, session: ClientSession): Promise<void> {
  try {
    if (id !== 0n) await db.command({ killCursors: collection, cursors: [id] }, { session });
  } catch {
    // The server drops an idle cursor by itself; that this one is not wanted any more is no failure.
  } finally {
    await session.endSession();
  }
}
