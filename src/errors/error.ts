import { ERRORS } from "./codes.ts";
import type { ErrorCode } from "./codes.ts";
import type { ErrorKind } from "./error-table.ts";

/** What the code that throws an error knows beyond the entry in `codes.ts`. */
interface ErrorText {
  /** What happened. Never contains a document's value. */
  readonly message: string;
  /** Default: the remedy of the code's entry. */
  readonly remedy?: string | undefined;
  /** Default: the kind of the code's entry. */
  readonly kind?: ErrorKind;
  readonly details?: Readonly<Record<string, string>>;
}

/** Every error that Headrace itself throws. The adapter of a server or library gives the code, once. */
export class HeadraceError extends Error {
  override readonly name = "HeadraceError";
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  /** What the operator can do. */
  readonly remedy: string;
  /** More for headers and logs: sqlstate, table, constraint, column. Never contains a document's value. */
  readonly details: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, { message, remedy, kind, details }: ErrorText, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.kind = kind ?? ERRORS[code].kind;
    this.remedy = remedy ?? ERRORS[code].remedy;
    this.details = details ?? {};
  }
}

/** The error itself if it has a code; otherwise an UNKNOWN_ERROR with it as the cause. */
export function withCode(error: unknown): HeadraceError {
  if (error instanceof HeadraceError) return error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new HeadraceError("UNKNOWN_ERROR", { message }, error);
}

/** The kind of anything thrown. An error without a code is a bug or unknown, and therefore fatal. */
export function errorKind(error: unknown): ErrorKind {
  return error instanceof HeadraceError ? error.kind : "fatal";
}

/** Whether an error is about a single record, so that the other records can be applied. */
export function isPoison(error: unknown): error is HeadraceError {
  return errorKind(error) === "poison";
}

/** The code of anything thrown; undefined if it has none. */
export function errorCode(error: unknown): ErrorCode | undefined {
  return error instanceof HeadraceError ? error.code : undefined;
}
