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
  /** What should be mended, though the pipeline works without it. */
  readonly warning: CheckWarning | null;
  /** What an operator should know although nothing is wrong. */
  readonly notes?: readonly string[];
}

export interface CheckWarning {
  readonly message: string;
  readonly remedy: string;
}

export interface CheckProblem {
  readonly code: ErrorCode;
  /** retryable: the problem may go away by itself. */
  readonly kind: ErrorKind;
  readonly message: string;
  readonly remedy: string;
}

/** Runs one check. Whatever `check` throws is the problem; what it returns is a warning. */
export async function runCheck(
  server: ServerKind,
  what: string,
  check: () => Promise<CheckWarning | void>,
): Promise<CheckResult> {
  try {
    const warning = (await check()) ?? null;
    return { server, what, problem: null, warning };
  } catch (error) {
    return { server, what, problem: problemOf(error), warning: null };
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
  const because = innermost(error);
  const says = because === undefined || isSaid(because, ours) ? ours : `${ours} (${because.message})`;
  return { code, kind, message: maskCredentials(says), remedy };
}

/** Whether our message has the cause's message, or its code, already. */
function isSaid({ message, code }: NodeJS.ErrnoException, ours: string): boolean {
  return message === "" || ours.includes(message) || (code !== undefined && ours.includes(code));
}

/**
 * The first cause. Its message is, for example `connect ECONNREFUSED 127.0.0.1:27017`, which says more than ours. Checks
 * read no values, so it cannot quote one.
 */
function innermost(error: unknown): NodeJS.ErrnoException | undefined {
  if (error instanceof AggregateError) return innermost(error.errors[0]);
  if (!(error instanceof Error)) return undefined;
  return innermost(error.cause) ?? error;
}
