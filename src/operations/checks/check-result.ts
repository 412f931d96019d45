import type { ErrorCode } from "../../errors/codes.ts";
import type { ErrorKind } from "../../errors/error-table.ts";
import { withCode } from "../../errors/error.ts";
import { maskCredentials } from "../../runtime/logger.ts";
import type { ServerKind } from "../connections.ts";

/** What looking at one thing gave. */
export interface CheckResult {
  readonly server: ServerKind;
  /** What was looked at, so that it reads well behind ✓ and ✗: `may read the collections`. */
  readonly what: string;
  /** Null where it is right. */
  readonly problem: CheckProblem | null;
}

export interface CheckProblem {
  readonly code: ErrorCode;
  /** retryable: it may be gone in a moment. */
  readonly kind: ErrorKind;
  readonly message: string;
  readonly remedy: string;
}

/** Runs one check; whatever it throws is the problem. */
export async function look(server: ServerKind, what: string, check: () => Promise<void>): Promise<CheckResult> {
  try {
    await check();
    return { server, what, problem: null };
  } catch (error) {
    return { server, what, problem: problemOf(error) };
  }
}

/** The results of a series of checks. */
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

/** `connect ECONNREFUSED 127.0.0.1:27017` says more than any words of ours. No document is read here that it could quote. */
function innermostMessage(error: unknown): string {
  if (error instanceof AggregateError) return innermostMessage(error.errors[0]);
  if (!(error instanceof Error)) return "";
  return error.cause === undefined ? error.message : innermostMessage(error.cause) || error.message;
}
