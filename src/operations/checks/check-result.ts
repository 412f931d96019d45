import type { ErrorCode } from "../../errors/codes.ts";
import type { ErrorKind } from "../../errors/error-table.ts";
import { withCode } from "../../errors/error.ts";
import { maskCredentials } from "../../runtime/logger.ts";
import type { ServerKind } from "../connections.ts";

/** The result of one check. */
export interface CheckResult {
  readonly server: ServerKind;
  /** What must be true of the server, to be read after its name: `is reachable`. */
  readonly what: string;
  /** Null if it is true. */
  readonly problem: CheckProblem | null;
}

export interface CheckProblem {
  readonly code: ErrorCode;
  /** retryable: the problem may go away by itself. */
  readonly kind: ErrorKind;
  readonly message: string;
  readonly remedy: string;
}

/** Runs one check. Whatever `check` throws is the problem. */
export async function runCheck(server: ServerKind, what: string, check: () => Promise<void>): Promise<CheckResult> {
  try {
    await check();
    return { server, what, problem: null };
  } catch (error) {
    return { server, what, problem: problemOf(error) };
  }
}

/** Runs a series of checks to its end. */
export async function collect(checks: AsyncIterable<CheckResult>): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  for await (const result of checks) results.push(result);
  return results;
}

function problemOf(error: unknown): CheckProblem {
  const { code, kind, remedy } = withCode(error);
  const ours = error instanceof Error ? error.message : String(error);
  const because = innermostMessage(error);
  return {
    code,
    kind,
    message: maskCredentials(because === "" || because === ours ? ours : `${ours} (${because})`),
    remedy,
  };
}

/**
 * The message of the first cause, for example `connect ECONNREFUSED 127.0.0.1:27017`, which says more than ours. Checks
 * read no values, so it cannot quote one.
 */
function innermostMessage(error: unknown): string {
  if (error instanceof AggregateError) return innermostMessage(error.errors[0]);
  if (!(error instanceof Error)) return "";
  return error.cause === undefined ? error.message : innermostMessage(error.cause) || error.message;
}
