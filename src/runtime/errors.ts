/** retryable: try again later; poison: this record only; fatal: stop. */
export type ErrorKind = "retryable" | "poison" | "fatal";

/** Every error that Headrace raises itself. Classified once, at the adapter, by code. */
export class HeadraceError extends Error {
  override readonly name = "HeadraceError";
  readonly code: string;
  readonly kind: ErrorKind;
  /** What the operator can do, one sentence. */
  readonly remedy: string;
  /** More for headers and logs: sqlstate, table, constraint, column. Never a document's value. */
  readonly details: Readonly<Record<string, string>>;

  constructor(
    code: string,
    kind: ErrorKind,
    text: { message: string; remedy: string; details?: Record<string, string> },
    cause?: unknown,
  ) {
    super(text.message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.kind = kind;
    this.remedy = text.remedy;
    this.details = text.details ?? {};
  }
}

/** The kind of anything thrown. What was not classified at an adapter is a bug or unknown, hence fatal. */
export function errorKind(error: unknown): ErrorKind {
  const kind = (error as { kind?: unknown } | null)?.kind;
  return kind === "retryable" || kind === "poison" ? kind : "fatal";
}
