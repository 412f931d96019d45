import {
  MongoError,
  MongoNetworkError,
  MongoOperationTimeoutError,
  MongoServerError,
  MongoServerSelectionError,
} from "mongodb";
import type { ErrorCode } from "../../errors/codes.ts";
import { HeadraceError } from "../../errors/error.ts";
import { networkCode } from "../../runtime/network-codes.ts";

/** From MongoDB's `error_codes.yml`. */
const BSON_OBJECT_TOO_LARGE = 10334;
const CURSOR_NOT_FOUND = 43;
const CURSOR_KILLED = 237;
const SNAPSHOT_TOO_OLD = 239;
const SNAPSHOT_UNAVAILABLE = 246;

const CODES: readonly (readonly [ErrorCode, readonly number[]])[] = [
  ["MONGODB_UNAVAILABLE", [6, 7, 89, 9001]], // host unreachable or not found, network timeout, socket
  ["MONGODB_UNAVAILABLE", [91, 189, 10107, 11600, 11602, 13435, 13436]], // shutdown, stepdown, not primary
  ["MONGODB_UNAVAILABLE", [50, 202, 262]], // time limits
  ["MONGODB_UNAVAILABLE", [CURSOR_NOT_FOUND, CURSOR_KILLED, 11601]], // cursor gone or killed, interrupted
  ["MONGODB_UNAVAILABLE", [SNAPSHOT_TOO_OLD, SNAPSHOT_UNAVAILABLE, 134]], // a snapshot time that cannot be read yet or any more
  ["MONGODB_UNAVAILABLE", [63, 112, 133, 150, 234, 13388, 317]], // stale metadata, write conflict, read preference, pool
  ["STREAM_LOST", [136, 260, 280, 286]], // position lost in the oplog, token invalid, not found, history lost
  ["MONGODB_LOGIN_FAILED", [18, 8000]], // 8000: Atlas
  ["MONGODB_FORBIDDEN", [13]],
  ["MONGODB_NOT_REPLICA_SET", [40573]],
  ["EVENT_TOO_LARGE", [BSON_OBJECT_TOO_LARGE]],
];
const BY_CODE: ReadonlyMap<number, ErrorCode> = new Map(
  CODES.flatMap(([errorCode, codes]) => codes.map((code) => [code, errorCode] as const)),
);

/** Error labels of servers and driver that mean: retry. */
const RETRYABLE_LABELS = [
  "RetryableError",
  "SystemOverloadedError",
  "TransientTransactionError",
  "ResumableChangeStreamError",
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
  return RETRYABLE_LABELS.some((label) => error.hasErrorLabel(label)) ? "MONGODB_UNAVAILABLE" : "MONGODB_UNEXPECTED";
}

/**
 * Classifies by code and class, never by message, and keeps the cause.
 * @param doing what the command was for, in the message: `reading the change stream`
 */
export function mongoError(error: unknown, doing: string): HeadraceError {
  if (error instanceof HeadraceError) return error;
  return new HeadraceError(classify(error), { message: `MongoDB failed while ${doing}: ${nameOf(error)}` }, error);
}

/** Whether a read at a given cluster time failed because MongoDB cannot read that time any more. */
export function isSnapshotGone(error: unknown): boolean {
  const code = serverCode(error);
  return code === SNAPSHOT_TOO_OLD || code === SNAPSHOT_UNAVAILABLE;
}

/** Whether MongoDB could not send an event because it is larger than a BSON document may be. */
export function isEventTooLarge(error: unknown): boolean {
  return serverCode(error) === BSON_OBJECT_TOO_LARGE;
}

/** Whether the server has dropped a cursor. It can be opened again. */
export function isCursorLost(error: unknown): boolean {
  const code = serverCode(error);
  return code === CURSOR_NOT_FOUND || code === CURSOR_KILLED;
}

/** Whether a change stream cannot resume at its token or time. */
export function isStreamLost(error: unknown): boolean {
  return error instanceof HeadraceError && error.code === "STREAM_LOST";
}

/** Whether the server refused a command with an unknown code. For a resume token that it cannot read it has many codes. */
export function isTokenRefused(error: unknown): boolean {
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
