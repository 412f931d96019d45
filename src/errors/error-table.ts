/**
 * retryable: try again later; poison: only this record or signal fails; fatal: stop with exit code 1; usage: the command line or
 * the config is wrong, exit code 2.
 */
export type ErrorKind = "retryable" | "poison" | "fatal" | "usage";

/** An entry of docs/errors.md. */
export interface ErrorEntry {
  readonly kind: ErrorKind;
  /** What happened, in one or two sentences of Markdown. */
  readonly meaning: string;
  /** What the operator can do. Also the error's remedy, unless the code that throws it gives a better one. */
  readonly remedy: string;
}

export type ErrorTable = Readonly<Record<string, ErrorEntry>>;
