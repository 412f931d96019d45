import { channel } from "node:diagnostics_channel";
import { setTimeout as sleep } from "node:timers/promises";
import { errorKind } from "../errors/error.ts";
import type { Logger } from "./logger.ts";

/** Time as retry sees it; a test gives its own. */
export interface Clock {
  /** ms, of any origin; never falls. */
  now(): number;
  /** Rejects when `signal` aborts. */
  sleep(delayMs: number, signal: AbortSignal | undefined): Promise<void>;
}

export interface RetryOptions {
  /** Aborting ends the waiting; the signal's reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Ceiling of the first delay. Default 100. */
  readonly initialDelayMs?: number;
  /** Ceiling of every delay. Default 30,000. */
  readonly maxDelayMs?: number;
  /** Give up when the next try would begin later than this after the first. Default: never. */
  readonly maxElapsedMs?: number | undefined;
  /** Called before each wait; `attempt` counts from 1, the one that has just failed. */
  readonly onRetry?: (error: unknown, attempt: number, delayMs: number) => void;
  readonly clock?: Clock;
  /** In [0, 1), as Math.random. */
  readonly random?: () => number;
}

/** A failure after which something is tried again. */
export interface RetryMessage {
  readonly error: unknown;
  readonly attempt: number;
  readonly delayMs: number;
}

/** Gets a RetryMessage for each retry in the process, wherever it is: for metrics. */
export const retriesChannel = channel("headrace.retries");

const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (delayMs, signal) => sleep(delayMs, undefined, { signal }),
};

/**
 * Repeats `operation` while it fails with an error of kind retryable, with full-jitter exponential
 * back-off: each delay is uniform in [0, min(maxDelayMs, initialDelayMs * 2^n)], so that many clients of
 * one server that comes back do not return at once.
 * Throws the operation's last error, or the signal's reason once that has aborted.
 */
export async function retry<T>(operation: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { signal, maxElapsedMs = Infinity, onRetry, clock = systemClock, random = Math.random } = options;
  const startedAt = clock.now();
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await operation(attempt);
    } catch (error) {
      if (errorKind(error) !== "retryable") throw error;
      signal?.throwIfAborted();
      const delayMs = random() * delayCeilingMs(attempt, options);
      if (clock.now() + delayMs - startedAt > maxElapsedMs) throw error;
      onRetry?.(error, attempt, delayMs);
      retriesChannel.publish({ error, attempt, delayMs } satisfies RetryMessage);
      await pause(delayMs, signal, clock);
    }
  }
}

function delayCeilingMs(attempt: number, { initialDelayMs = 100, maxDelayMs = 30_000 }: RetryOptions): number {
  return Math.min(maxDelayMs, initialDelayMs * 2 ** (attempt - 1));
}

async function pause(delayMs: number, signal: AbortSignal | undefined, clock: Clock): Promise<void> {
  signal?.throwIfAborted();
  try {
    await clock.sleep(delayMs, signal);
  } catch (error) {
    // The timer's own AbortError would hide why the signal was aborted.
    signal?.throwIfAborted();
    throw error;
  }
}

/** How patient a start is with servers that cannot be reached: they may be starting, too. */
export const START_PATIENCE = { maxElapsedMs: 60_000, maxDelayMs: 2_000 } as const;

/** An `onRetry` that logs; the level rises with the delay: a hiccup is for debugging, an outage is a warning. */
export function logRetries(logger: Logger, what: string): (error: unknown, attempt: number, delayMs: number) => void {
  return (error, attempt, delayMs) => {
    const fields = { err: error, attempt, delayMs: Math.round(delayMs) };
    const message = `${what} failed; trying again`;
    if (delayMs < 500) logger.debug(fields, message);
    else if (delayMs < 5_000) logger.info(fields, message);
    else logger.warn(fields, message);
  };
}
