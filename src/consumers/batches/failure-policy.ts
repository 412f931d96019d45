import { HeadraceError } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import { retry } from "../../runtime/retry.ts";

export interface PatienceOptions {
  /** How long a violated foreign key or unique constraint is tried again: another partition may be about to mend it. */
  readonly constraintPatienceMs: number;
  /** How long an unknown schema id is asked for again: registries are replicated and cached. */
  readonly schemaPatienceMs: number;
}

/** What failed and when to leave off trying. */
export interface RetryContext {
  readonly signal: AbortSignal;
  readonly topic?: string;
  readonly partition?: number;
}

/** The longest pause between two tries: what comes back is noticed soon. */
const MAX_DELAY_MS = 5_000;

/** foreign_key_violation and unique_violation. */
const MENDABLE_SQLSTATES = new Set(["23503", "23505"]);

/**
 * Decides what the adapters' classification leaves open because it depends on time. Made anew for each piece of
 * work, so that patience begins with the first such failure of that work.
 * @returns what throws the error, or one of another kind with it as cause
 */
export function createFailurePolicy(
  { constraintPatienceMs, schemaPatienceMs }: PatienceOptions,
  now: () => number = () => performance.now(),
): (error: unknown) => never {
  const constraints = startPatience(constraintPatienceMs, now);
  const schemas = startPatience(schemaPatienceMs, now);
  return (error) => {
    if (isMendable(error) && constraints.lasts()) {
      const { code, message, remedy, details } = error;
      throw new HeadraceError(code, { kind: "retryable", message, remedy, details }, error);
    }
    if (isUnknownSchema(error) && !schemas.lasts()) throw schemaMissing(error);
    throw error;
  };
}

/**
 * Repeats steps of one piece of work while they fail with what passes. Nothing is committed meanwhile, and
 * heartbeats go on. Throws the signal's reason once that aborts.
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

/** Begins when it is first asked. */
function startPatience(patienceMs: number, now: () => number): { lasts(): boolean } {
  let startedAt: number | undefined;
  return {
    lasts() {
      startedAt ??= now();
      return now() - startedAt < patienceMs;
    },
  };
}

function isMendable(error: unknown): error is HeadraceError {
  return (
    error instanceof HeadraceError && error.kind === "poison" && MENDABLE_SQLSTATES.has(error.details.sqlstate ?? "")
  );
}

function isUnknownSchema(error: unknown): error is HeadraceError {
  return error instanceof HeadraceError && error.code === "SCHEMA_UNKNOWN";
}

function schemaMissing(error: HeadraceError): HeadraceError {
  return new HeadraceError("SCHEMA_UNKNOWN", { kind: "fatal", message: error.message }, error);
}
