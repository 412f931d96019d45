import { MongoError, MongoNetworkError, MongoOperationTimeoutError, MongoServerSelectionError } from "mongodb";
import { HeadraceError } from "../runtime/errors.ts";
import type { ErrorKind } from "../runtime/errors.ts";
import { networkCode } from "../runtime/network-codes.ts";

interface MongoErrorClass {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly remedy: string;
}

const UNAVAILABLE: MongoErrorClass = {
  code: "MONGODB_UNAVAILABLE",
  kind: "retryable",
  remedy: "Check that the replica set has a primary and can be reached; Headrace goes on by itself once it can.",
};
const HISTORY_LOST: MongoErrorClass = {
  code: "HISTORY_LOST",
  kind: "fatal",
  remedy:
    "The oplog no longer holds the changes since the stored position: make it larger, delete the pipeline's positions topic (it then begins with a new snapshot), and look with `headrace verify` for rows whose documents were deleted meanwhile.",
};
const LOGIN_FAILED: MongoErrorClass = {
  code: "MONGODB_LOGIN_FAILED",
  kind: "fatal",
  remedy: "Check the user, the password and authSource in mongodb.uri.",
};
const FORBIDDEN: MongoErrorClass = {
  code: "MONGODB_FORBIDDEN",
  kind: "fatal",
  remedy: "Give the user the role `read` on the database (it includes find, listCollections and changeStream).",
};
const NOT_REPLICA_SET: MongoErrorClass = {
  code: "MONGODB_NOT_REPLICA_SET",
  kind: "fatal",
  remedy: "Run MongoDB as a replica set (one member is enough): a standalone server has no change streams.",
};
const EVENT_TOO_LARGE: MongoErrorClass = {
  code: "EVENT_TOO_LARGE",
  kind: "fatal",
  remedy:
    "A change has an event of more than 16 MB, which this MongoDB cannot deliver: leave the collection of very large documents out, or make its documents smaller and start again from a new snapshot.",
};
const UNEXPECTED: MongoErrorClass = {
  code: "MONGODB_UNEXPECTED",
  kind: "fatal",
  remedy: "Look at the cause; MongoDB or its driver answered something that Headrace does not know.",
};

/** From MongoDB's `error_codes.yml`. */
const CURSOR_NOT_FOUND = 43;
const CURSOR_KILLED = 237;
const SNAPSHOT_TOO_OLD = 239;
const SNAPSHOT_UNAVAILABLE = 246;

const CODES: readonly (readonly [MongoErrorClass, readonly number[]])[] = [
  [UNAVAILABLE, [6, 7, 89, 9001]], // host unreachable or not found, network timeout, socket
  [UNAVAILABLE, [91, 189, 10107, 11600, 11602, 13435, 13436]], // shutdown, stepdown, not primary
  [UNAVAILABLE, [50, 202, 262]], // time limits
  [UNAVAILABLE, [CURSOR_NOT_FOUND, CURSOR_KILLED, 11601]], // cursor gone or killed, interrupted
  [UNAVAILABLE, [SNAPSHOT_TOO_OLD, SNAPSHOT_UNAVAILABLE, 134]], // a snapshot that is not there yet or no more
  [UNAVAILABLE, [63, 112, 133, 136, 150, 234, 13388, 317]], // stale metadata, write conflict, read preference, pool
  [HISTORY_LOST, [260, 280, 286]],
  [LOGIN_FAILED, [18, 8000]], // 8000: Atlas
  [FORBIDDEN, [13]],
  [NOT_REPLICA_SET, [40573]],
  [EVENT_TOO_LARGE, [10334]],
];
const BY_CODE: ReadonlyMap<number, MongoErrorClass> = new Map(
  CODES.flatMap(([errorClass, codes]) => codes.map((code) => [code, errorClass] as const)),
);

/** Labels by which servers and driver say that trying again is right. */
const RETRYABLE_LABELS = [
  "RetryableError",
  "SystemOverloadedError",
  "TransientTransactionError",
  "ResumableChangeStreamError",
];

function classify(error: unknown): MongoErrorClass {
  // The driver passes on what Node says of a connection that breaks while a request does not fit its buffers.
  if (networkCode(error) !== null) return UNAVAILABLE;
  if (!(error instanceof MongoError)) return UNEXPECTED;
  const known = typeof error.code === "number" ? BY_CODE.get(error.code) : undefined;
  if (known !== undefined) return known;
  if (
    error instanceof MongoNetworkError ||
    error instanceof MongoServerSelectionError ||
    error instanceof MongoOperationTimeoutError
  ) {
    return UNAVAILABLE;
  }
  return RETRYABLE_LABELS.some((label) => error.hasErrorLabel(label)) ? UNAVAILABLE : UNEXPECTED;
}

/**
 * Classifies by code and class, never by message, and keeps the cause.
 * @param doing what was being done, for the message: `reading the change stream`.
 */
export function mongoError(error: unknown, doing: string): HeadraceError {
  if (error instanceof HeadraceError) return error;
  const { code, kind, remedy } = classify(error);
  return new HeadraceError(code, kind, { message: `MongoDB failed at ${doing}: ${nameOf(error)}`, remedy }, error);
}

/** Whether a read at a given cluster time failed because that time cannot be read any more. */
export function isSnapshotGone(error: unknown): boolean {
  const code = serverCode(error);
  return code === SNAPSHOT_TOO_OLD || code === SNAPSHOT_UNAVAILABLE;
}

/** Whether the server has dropped a cursor, which can be opened again. */
export function isCursorLost(error: unknown): boolean {
  const code = serverCode(error);
  return code === CURSOR_NOT_FOUND || code === CURSOR_KILLED;
}

/** The server's code of an error that `mongoError` made. */
function serverCode(error: unknown): unknown {
  return error instanceof HeadraceError && error.cause instanceof MongoError ? error.cause.code : undefined;
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return "an unknown error";
  const { codeName, code } = error as { codeName?: unknown; code?: unknown };
  if (typeof codeName === "string") return codeName;
  return typeof code === "number" ? `code ${code}` : error.name;
}
