import { ERRORS } from "./codes.ts";
import type { ErrorCode } from "./codes.ts";
import type { ErrorKind } from "./error-table.ts";

/** What a place that throws knows beyond the code's entry in `codes.ts`. */
interface ErrorText {
  /** What happened. Never a document's value. */
  readonly message: string;
  /** Default: the code's. */
  readonly remedy?: string;
  /** Default: the code's. */
  readonly kind?: ErrorKind;
  readonly details?: Readonly<Record<string, string>>;
}

/** Every error that Headrace raises itself. Classified once, at the adapter, by code. */
export class HeadraceError extends Error {
  override readonly name = "HeadraceError";
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  /** What the operator can do, one sentence. */
  readonly remedy: string;
  /** More for headers and logs: sqlstate, table, constraint, column. Never a document's value. */
  readonly details: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, { message, remedy, kind, details }: ErrorText, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.kind = kind ?? ERRORS[code].kind;
    this.remedy = remedy ?? ERRORS[code].remedy;
    this.details = details ?? {};
  }
}

/** What ends the process, with a code: what nobody classified becomes an UNKNOWN_ERROR with it as cause. */
export function withCode(error: unknown): HeadraceError {
  if (error instanceof HeadraceError) return error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new HeadraceError("UNKNOWN_ERROR", { message }, error);
}

/** The kind of anything thrown. What was not classified at an adapter is a bug or unknown, hence fatal. */
export function errorKind(error: unknown): ErrorKind {
  return error instanceof HeadraceError ? error.kind : "fatal";
}

/** Whether a thrown value says that one record cannot be applied, and that the others can. */
export function isPoison(error: unknown): error is HeadraceError {
  return errorKind(error) === "poison";
}

/** The code of anything thrown; undefined for what was not classified. */
export function errorCode(error: unknown): ErrorCode | undefined {
  return error instanceof HeadraceError ? error.code : undefined;
}
