import { HeadraceError } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import { retry } from "../../runtime/retry.ts";

export interface PatienceOptions {
  /** How long to retry a violated foreign key or unique constraint: a record of another partition may satisfy it soon. */
  readonly constraintPatienceMs: number;
  /** How long to ask again for an unknown schema id: a replica of the registry may be behind. */
  readonly schemaPatienceMs: number;
  /**
   * How long to retry what PostgreSQL calls passing but may not be: another session's change of the same table, and an
   * SQLSTATE that a trigger raises.
   */
  readonly passingPatienceMs: number;
}

/** Whose work is retried, and until when. */
export interface RetryContext {
  readonly signal: AbortSignal;
  readonly topic?: string;
  readonly partition?: number;
}

/** The longest pause between two tries. Short, so that Headrace soon notices a server that is back. */
const MAX_DELAY_MS = 5_000;

/** foreign_key_violation and unique_violation. */
export const PASSING_SQLSTATES: ReadonlySet<string> = new Set(["23503", "23505"]);

/**
 * Decides what depends on time, which the adapters' classification cannot. Create one for each piece of work, so that its
 * patience starts with the first such failure of that work.
 * @returns a function that throws the given error, or one of another kind with that error as its cause
 */
export function createFailurePolicy(
  { constraintPatienceMs, schemaPatienceMs, passingPatienceMs }: PatienceOptions,
  now: () => number = () => performance.now(),
): (error: unknown) => never {
  const constraints = startPatience(constraintPatienceMs, now);
  const schemas = startPatience(schemaPatienceMs, now);
  const tables = startPatience(passingPatienceMs, now);
  const triggers = startPatience(passingPatienceMs, now);
  return (error) => {
    if (maySoonPass(error) && constraints.lasts()) {
      const { code, message, remedy, details } = error;
      throw new HeadraceError(code, { kind: "retryable", message, remedy, details }, error);
    }
    if (isUnknownSchema(error) && !schemas.lasts()) throw schemaMissing(error);
    if (isTableChange(error) && !tables.lasts()) throw tableUnusable(error);
    if (isRaisedAsPassing(error) && !triggers.lasts()) throw refusedByTrigger(error);
    throw error;
  };
}

/**
 * Creates a function that repeats steps of one piece of work while they fail with retryable errors. Meanwhile nothing is
 * committed, and heartbeats continue. It throws the signal's reason when the signal aborts.
 */
export function createRetrier(
  { patience, logger }: { readonly patience: PatienceOptions; readonly logger: Logger },
  { signal, topic, partition }: RetryContext,
): <T>(step: () => Promise<T>) => Promise<T> {
  const policy = createFailurePolicy(patience);
  return (step) =>
    retry(() => step().catch(policy), {
      signal,
      maxDelayMs: MAX_DELAY_MS,
      onRetry: (err, attempt, delayMs) => logger.warn({ err, topic, partition, attempt, delayMs }, "trying again"),
    });
}

/** Starts when `lasts` is first called. */
function startPatience(patienceMs: number, now: () => number): { lasts(): boolean } {
  let startedAt: number | undefined;
  return {
    lasts() {
      startedAt ??= now();
      return now() - startedAt < patienceMs;
    },
  };
}

function maySoonPass(error: unknown): error is HeadraceError {
  return (
    error instanceof HeadraceError && error.kind === "poison" && PASSING_SQLSTATES.has(error.details.sqlstate ?? "")
  );
}

function isUnknownSchema(error: unknown): error is HeadraceError {
  return error instanceof HeadraceError && error.code === "SCHEMA_UNKNOWN";
}

/** With an SQLSTATE: PostgreSQL refused to create or to alter the table, as if another session had just done so. */
function isTableChange(error: unknown): error is HeadraceError {
  return error instanceof HeadraceError && error.code === "TABLE_CHANGED" && error.details["sqlstate"] !== undefined;
}

function tableUnusable(error: HeadraceError): HeadraceError {
  const message = `PostgreSQL refuses again and again to create or extend the table. ${error.message}`;
  return new HeadraceError("TABLE_DOES_NOT_FIT", { message, details: error.details }, error);
}

function isRaisedAsPassing(error: unknown): error is HeadraceError {
  return error instanceof HeadraceError && error.kind === "retryable" && error.details["raised"] === "true";
}

function refusedByTrigger({ message, details }: HeadraceError): HeadraceError {
  return new HeadraceError("TRIGGER_REFUSED", { message, details });
}

function schemaMissing(error: HeadraceError): HeadraceError {
  return new HeadraceError("SCHEMA_UNKNOWN", { kind: "fatal", message: error.message }, error);
}
