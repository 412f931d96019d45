import {
  MongoError,
  MongoNetworkError,
  MongoOperationTimeoutError,
  MongoServerError,
  MongoServerSelectionError,
  Timestamp,
} from "mongodb";
import type { ErrorCode } from "../../errors/codes.ts";
import { HeadraceError } from "../../errors/error.ts";
import { networkCode } from "../../runtime/network-codes.ts";
import { HANDSHAKE_CUT_REASON, isHandshakeCut, tlsMistake, unreadableFile } from "../../runtime/tls-codes.ts";

/** From MongoDB's `error_codes.yml`. */
const BSON_OBJECT_TOO_LARGE = 10334;
const CURSOR_NOT_FOUND = 43;
const CURSOR_KILLED = 237;
const INVALID_PIPELINE_OPERATOR = 168;
const QUERY_PLAN_KILLED = 175;
const SNAPSHOT_TOO_OLD = 239;
const SNAPSHOT_UNAVAILABLE = 246;

/**
 * Every code that a read, a change stream or a question about the server may give, by what it means for the producer. The
 * others are of writes, indexes, users, administration, other products, or never leave the server: if one comes, it is
 * unexpected, and unknown is fatal. So is what the same read would give again: 2 BadValue, 9 FailedToParse, 17 ProtocolError,
 * 20 IllegalOperation, 26 NamespaceNotFound, 59 CommandNotFound, 72 InvalidOptions, 146 and 292 memory limits, 322 to 324 the
 * stable API, 411 QueryRejectedBySettings, 40324 unknown stage.
 */
const CODES: readonly (readonly [ErrorCode, readonly number[]])[] = [
  // The network: host unreachable, not found, in DNS, timeout, socket, TLS between members, pool.
  ["MONGODB_UNAVAILABLE", [6, 7, 89, 141, 145, 190, 199, 230, 231, 279, 317, 384, 407, 450, 9001, 56846]],
  // Shutdown, stepdown, no primary, an election, a member that is not ready.
  ["MONGODB_UNAVAILABLE", [90, 91, 93, 94, 95, 133, 164, 189, 216, 303, 310, 333, 372, 398]],
  ["MONGODB_UNAVAILABLE", [10058, 10107, 11600, 11602, 13435, 13436]],
  // Limits of time, of locks, files and disk, and overload.
  ["MONGODB_UNAVAILABLE", [24, 46, 50, 107, 202, 208, 261, 262, 264, 290, 365, 402, 433, 449, 462, 14031]],
  // The cursor, its session or its plan is gone: killed, or because an index or the collection was dropped or renamed.
  ["MONGODB_UNAVAILABLE", [CURSOR_NOT_FOUND, CURSOR_KILLED, QUERY_PLAN_KILLED, 143, 206, 221, 222, 276, 314]],
  // Interrupted, by an administrator or by the server itself.
  ["MONGODB_UNAVAILABLE", [11601, 46841, 355, 453, 91331, 10045600]],
  // A time that cannot be read yet or any more.
  ["MONGODB_UNAVAILABLE", [SNAPSHOT_TOO_OLD, SNAPSHOT_UNAVAILABLE, 134, 250, 272]],
  // In conflict with what another client, an index build, a backup or a drop does at the moment.
  ["MONGODB_UNAVAILABLE", [112, 117, 215, 267, 285, 406, 412, 12586, 12587, 50915]],
  // Metadata of shards, and a change stream that must be opened again.
  ["MONGODB_UNAVAILABLE", [63, 150, 234, 249, 358, 360, 379, 401, 13388]],
  // The position is not in the oplog, the token is invalid or not found, history is lost.
  ["STREAM_LOST", [136, 260, 280, 286, 326]],
  // No such user, wrong password, a login that has ended or is not offered; 8000: Atlas.
  ["MONGODB_LOGIN_FAILED", [11, 18, 214, 334, 391, 392, 8000]],
  ["MONGODB_FORBIDDEN", [13]],
  ["MONGODB_NOT_REPLICA_SET", [76, 123, 40573]],
  ["EVENT_TOO_LARGE", [BSON_OBJECT_TOO_LARGE]],
];
const BY_CODE: ReadonlyMap<number, ErrorCode> = new Map(
  CODES.flatMap(([errorCode, codes]) => codes.map((code) => [code, errorCode] as const)),
);

/** For codes that are not in the table: error labels of servers and driver that mean to try again. */
const RETRYABLE_LABELS = [
  "RetryableError",
  "SystemOverloadedError",
  "TransientTransactionError",
  "ResumableChangeStreamError",
  "RetryableWriteError",
  "PoolRequestedRetry",
  "ResetPool",
  "InterruptInUseConnections",
];

function classify(error: unknown): ErrorCode {
  // If a connection breaks while the driver is sending, the driver throws Node's own error.
  if (networkCode(error) !== null) return "MONGODB_UNAVAILABLE";
  if (!(error instanceof MongoError)) return "MONGODB_UNEXPECTED";
  const known = typeof error.code === "number" ? BY_CODE.get(error.code) : undefined;
  if (known !== undefined) return known;
  if (
    error instanceof MongoNetworkError ||
    error instanceof MongoServerSelectionError ||
    error instanceof MongoOperationTimeoutError
  ) {
    return "MONGODB_UNAVAILABLE";
  }
  if (error.hasErrorLabel("NonResumableChangeStreamError")) return "STREAM_LOST";
  return RETRYABLE_LABELS.some((label) => error.hasErrorLabel(label)) ? "MONGODB_UNAVAILABLE" : "MONGODB_UNEXPECTED";
}

/**
 * Classifies by code and class, never by message, and keeps the cause.
 * @param doing what the command was for, in the message: `reading the change stream`
 */
export function mongoError(error: unknown, doing: string): HeadraceError {
  if (error instanceof HeadraceError) return error;
  const own = settingMistake(error);
  if (own !== null) return own;
  return new HeadraceError(classify(error), { message: `MongoDB failed while ${doing}: ${nameOf(error)}` }, error);
}

/** A mistake in `mongodb.uri`: a file that it names, or its TLS options. */
function settingMistake(error: unknown): HeadraceError | null {
  const file = unreadableFile(error);
  if (file !== null) {
    const message = `The file ${file.path} in mongodb.uri cannot be read (${file.code}).`;
    return new HeadraceError("TLS_FILE_UNREADABLE", { message }, error);
  }
  if (isHandshakeCut(error)) {
    const message = `No TLS with MongoDB: ${HANDSHAKE_CUT_REASON}`;
    return new HeadraceError("MONGODB_TLS_FAILED", { kind: "retryable", message }, error);
  }
  const tls = tlsMistake(error);
  if (tls === null) return null;
  return new HeadraceError(
    "MONGODB_TLS_FAILED",
    { message: `No TLS with MongoDB: ${tls.reason} (${tls.code}).` },
    error,
  );
}

/**
 * The error of a read with a collection's filter. MongoDB took the filter at the start, so a document is the reason: what
 * MongoDB says may quote it.
 */
export function filterError(error: unknown, collection: string): unknown {
  if (!isRefused(error)) return error;
  const message = `MongoDB could not apply the filter of ${JSON.stringify(collection)} to one of its documents: ${nameOf(error.cause)}.`;
  const remedy =
    "Write the filter so that it holds for documents of every shape: in $expr, give $convert an onError, and test a value before you calculate with it.";
  return new HeadraceError("FILTER_REFUSED", { message, remedy }, error);
}

/** Whether a read at a given cluster time failed because MongoDB cannot read that time any more. */
export function isSnapshotGone(error: unknown): boolean {
  const code = serverCode(error);
  return code === SNAPSHOT_TOO_OLD || code === SNAPSHOT_UNAVAILABLE;
}

/** Whether a read with `NOT_A_VIEW` met a view or a time-series collection. */
export function isOfView(error: unknown): boolean {
  return serverCode(error) === INVALID_PIPELINE_OPERATOR;
}

/** The node's time when it refused a command; null if the error does not tell. */
export function refusedAt(error: unknown): Timestamp | null {
  if (!(error instanceof HeadraceError) || !(error.cause instanceof MongoServerError)) return null;
  const time: unknown = error.cause.errorResponse["operationTime"];
  return time instanceof Timestamp ? time : null;
}

/** Whether MongoDB could not send an event because it is larger than a BSON document may be. */
export function isEventTooLarge(error: unknown): boolean {
  return serverCode(error) === BSON_OBJECT_TOO_LARGE;
}

/** Whether the server has dropped a cursor. It can be opened again. */
export function isCursorLost(error: unknown): boolean {
  const code = serverCode(error);
  return code === CURSOR_NOT_FOUND || code === CURSOR_KILLED || code === QUERY_PLAN_KILLED;
}

/** Whether a change stream cannot resume at its token or time. */
export function isStreamLost(error: unknown): boolean {
  return error instanceof HeadraceError && error.code === "STREAM_LOST";
}

/** Whether the server refused a command with an unknown code. For a resume token that it cannot read it has many codes. */
export function isTokenRefused(error: unknown): boolean {
  return isRefused(error);
}

function isRefused(error: unknown): error is HeadraceError {
  return (
    error instanceof HeadraceError && error.code === "MONGODB_UNEXPECTED" && error.cause instanceof MongoServerError
  );
}

/** The server's code in an error from `mongoError`. */
function serverCode(error: unknown): unknown {
  return error instanceof HeadraceError && error.cause instanceof MongoError ? error.cause.code : undefined;
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return "an unknown error";
  const { codeName, code } = error as { codeName?: unknown; code?: unknown };
  if (typeof codeName === "string") return codeName;
  return typeof code === "number" ? `code ${code}` : error.name;
}
