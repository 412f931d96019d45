/** retryable: try again later; poison: this record only; fatal: stop, exit code 1; usage: a mistake of the command's user, exit code 2. */
export type ErrorKind = "retryable" | "poison" | "fatal" | "usage";

/** What docs/errors.md says of a code. */
export interface ErrorEntry {
  readonly kind: ErrorKind;
  /** What has happened, one or two sentences in Markdown. */
  readonly meaning: string;
  /** What the operator can do; an error has it too, unless the place where it is thrown knows better. */
  readonly remedy: string;
}

export type ErrorTable = Readonly<Record<string, ErrorEntry>>;
