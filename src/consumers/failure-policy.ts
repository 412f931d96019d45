import { HeadraceError } from "../runtime/errors.ts";

export interface PatienceOptions {
  /** How long a violated foreign key or unique constraint is tried again: another partition may be about to mend it. */
  readonly constraintPatienceMs: number;
  /** How long an unknown schema id is asked for again: registries are replicated and cached. */
  readonly schemaPatienceMs: number;
}

/** foreign_key_violation and unique_violation. */
const MENDABLE_SQLSTATES = new Set(["23503", "23505"]);

/**
 * Decides what the adapters' classification leaves open because it depends on time. Made anew for each piece of
 * work, so that its patience begins with the first failure of that work.
 * @returns the error to go on with: the given one, or one of another kind with it as cause
 */
export function createFailurePolicy(
  { constraintPatienceMs, schemaPatienceMs }: PatienceOptions,
  now: () => number = () => performance.now(),
): (error: unknown) => unknown {
  let firstFailureAt: number | undefined;
  const patient = (patienceMs: number): boolean => {
    firstFailureAt ??= now();
    return now() - firstFailureAt < patienceMs;
  };
  return (error) => {
    if (isMendable(error) && patient(constraintPatienceMs)) {
      const { code, message, remedy, details } = error;
      return new HeadraceError(code, "retryable", { message, remedy, details }, error);
    }
    if (isUnknownSchema(error) && !patient(schemaPatienceMs)) return schemaMissing(error);
    return error;
  };
}

function isMendable(error: unknown): error is HeadraceError {
  return (
    error instanceof HeadraceError && error.kind === "poison" && MENDABLE_SQLSTATES.has(error.details.sqlstate ?? "")
  );
}

function isUnknownSchema(error: unknown): error is Error {
  return error instanceof Error && (error as { code?: unknown }).code === "SCHEMA_UNKNOWN";
}

function schemaMissing(error: Error): HeadraceError {
  const text = {
    message: error.message,
    remedy:
      "Check that this is the registry that the producer writes to, and bring the schema back under its id if it was deleted; then start again.",
  };
  return new HeadraceError("SCHEMA_UNKNOWN", "fatal", text, error);
}
