import { channel } from "node:diagnostics_channel";
import { setTimeout as sleep } from "node:timers/promises";
import { errorKind } from "../errors/error.ts";
import type { Logger } from "./logger.ts";

/** The clock of `retry`. Tests pass their own. */
export interface Clock {
  /** In ms since any fixed time. Never decreases. */
  now(): number;
  /** Rejects when `signal` aborts. */
  sleep(delayMs: number, signal: AbortSignal | undefined): Promise<void>;
}

export interface RetryOptions {
  /** Aborting it ends the wait, and `retry` throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Upper limit of the first delay. Default 100. */
  readonly initialDelayMs?: number;
  /** Upper limit of every delay. Default 30,000. */
  readonly maxDelayMs?: number;
  /** Give up if the next attempt would start later than this after the first one, or as long as an error is worth. Default: never. */
  readonly maxElapsedMs?: number | ((error: unknown) => number) | undefined;
  /** Called before each wait. */
  readonly onRetry?: OnRetry;
  readonly clock?: Clock;
  /** Returns a number in [0, 1), like Math.random. */
  readonly random?: () => number;
}

/**
 * @param attempt the number of the attempt that has just failed, from 1
 * @param failingMs since the first attempt, or since the last success
 */
export type OnRetry = (error: unknown, attempt: number, delayMs: number, failingMs: number) => void;

/** A failure that is tried again. */
export interface RetryMessage {
  readonly error: unknown;
  readonly attempt: number;
  readonly delayMs: number;
}

/** Receives a RetryMessage for each retry in the process. Used for metrics. */
export const retriesChannel = channel("headrace.retries");

const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (delayMs, signal) => sleep(delayMs, undefined, { signal }),
};

/**
 * Repeats `operation` while it fails with an error of kind retryable. Uses exponential back-off with full jitter: each
 * delay is uniform in [0, min(maxDelayMs, initialDelayMs * 2^n)], so that the clients of a restarted server do not all
 * return at the same time.
 * @param operation one that goes on for long calls `succeeded` when it has done something: a later failure is a first one
 * @throws the operation's last error, or the signal's reason if the signal has aborted
 */
export async function retry<T>(
  operation: (attempt: number, succeeded: () => void) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const { signal, maxElapsedMs = Infinity, onRetry, clock = systemClock, random = Math.random } = options;
  let startedAt = clock.now();
  let attempt = 0;
  const succeeded = (): void => {
    startedAt = clock.now();
    attempt = 1;
  };
  for (;;) {
    attempt++;
    signal?.throwIfAborted();
    try {
      return await operation(attempt, succeeded);
    } catch (error) {
      if (errorKind(error) !== "retryable") throw error;
      signal?.throwIfAborted();
      const delayMs = random() * delayCeilingMs(attempt, options);
      const failingMs = clock.now() - startedAt;
      const patienceMs = typeof maxElapsedMs === "number" ? maxElapsedMs : maxElapsedMs(error);
      if (failingMs + delayMs > patienceMs) throw error;
      onRetry?.(error, attempt, delayMs, failingMs);
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
    // The timer's AbortError would hide the signal's reason.
    signal?.throwIfAborted();
    throw error;
  }
}

/** At startup, servers that cannot be reached are tried for a minute. They may be starting, too. */
export const START_PATIENCE = { maxElapsedMs: 60_000, maxDelayMs: 2_000 } as const;

/** From here on a failure is more than a moment, ms. */
const LASTING_MS = 5_000;

/** Makes an `onRetry` that logs each failure: with the level info and, when it has lasted for 5 s or soon will have, warn. */
export function logRetries(logger: Logger, what: string): OnRetry {
  return (error, attempt, delayMs, failingMs) => {
    const fields = { err: error, attempt, delayMs: Math.round(delayMs) };
    const message = `${what} failed; trying again`;
    if (failingMs + delayMs < LASTING_MS) logger.info(fields, message);
    else logger.warn(fields, message);
  };
}
