import { HeadraceError } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import { retry } from "../../runtime/retry.ts";

export interface PatienceOptions {
  /** How long to retry a violated foreign key or unique constraint: a record of another partition may satisfy it soon. */
  readonly constraintPatienceMs: number;
  /** How long to ask again for an unknown schema id: a replica of the registry may be behind. */
  readonly schemaPatienceMs: number;
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
const PASSING_SQLSTATES = new Set(["23503", "23505"]);

/**
 * Decides what depends on time, which the adapters' classification cannot. Create one for each piece of work, so that its
 * patience starts with the first such failure of that work.
 * @returns a function that throws the given error, or one of another kind with that error as its cause
 */
export function createFailurePolicy(
  { constraintPatienceMs, schemaPatienceMs }: PatienceOptions,
  now: () => number = () => performance.now(),
): (error: unknown) => never {
  const constraints = startPatience(constraintPatienceMs, now);
  const schemas = startPatience(schemaPatienceMs, now);
  return (error) => {
    if (maySoonPass(error) && constraints.lasts()) {
      const { code, message, remedy, details } = error;
      throw new HeadraceError(code, { kind: "retryable", message, remedy, details }, error);
    }
    if (isUnknownSchema(error) && !schemas.lasts()) throw schemaMissing(error);
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

function schemaMissing(error: HeadraceError): HeadraceError {
  return new HeadraceError("SCHEMA_UNKNOWN", { kind: "fatal", message: error.message }, error);
}
