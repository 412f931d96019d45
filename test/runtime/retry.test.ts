import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HeadraceError } from "../../src/errors/error.ts";
import { logRetries, retriesChannel, retry } from "../../src/runtime/retry.ts";
import type { Clock, RetryMessage } from "../../src/runtime/retry.ts";

const outage = () => new HeadraceError("KAFKA_UNAVAILABLE", { message: "no broker" });

/** Time that passes only by sleeping. */
function fakeClock(): Clock & { readonly sleeps: number[] } {
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => sleeps.reduce((sum, delay) => sum + delay, 0),
    sleep: async (delayMs) => {
      sleeps.push(delayMs);
    },
  };
}

function failing(times: number, error: () => Error): (attempt: number) => Promise<string> {
  return async (attempt) => {
    if (attempt <= times) throw error();
    return `attempt ${attempt}`;
  };
}

describe("retry", () => {
  test("repeats until the operation succeeds, and calls onRetry before each wait", async () => {
    const clock = fakeClock();
    const told: unknown[] = [];
    const result = await retry(failing(3, outage), {
      clock,
      random: () => 0.5,
      initialDelayMs: 100,
      onRetry: (error, attempt, delayMs) => told.push([(error as HeadraceError).code, attempt, delayMs]),
    });
    expect(result).toBe("attempt 4");
    expect(told).toEqual([
      ["KAFKA_UNAVAILABLE", 1, 50],
      ["KAFKA_UNAVAILABLE", 2, 100],
      ["KAFKA_UNAVAILABLE", 3, 200],
    ]);
    expect(clock.sleeps).toEqual([50, 100, 200]);
  });

  test.each([
    ["a fatal error", new HeadraceError("FENCED", { message: "no" })],
    ["a poison error", new HeadraceError("VALUE_REFUSED", { message: "no" })],
    ["an error that nobody classified", new TypeError("bug")],
  ])("does not repeat after %s", async (_, error) => {
    const clock = fakeClock();
    await expect(
      retry(
        failing(1, () => error),
        { clock },
      ),
    ).rejects.toBe(error);
    expect(clock.sleeps).toEqual([]);
  });

  test("every delay is below its limit, which doubles up to the maximum", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1_000, max: 60_000 }),
        async (randoms, initialDelayMs, maxDelayMs) => {
          const clock = fakeClock();
          const random = randoms.values();
          await retry(failing(randoms.length, outage), {
            clock,
            random: () => random.next().value ?? 0,
            initialDelayMs,
            maxDelayMs,
          });
          expect(clock.sleeps).toHaveLength(randoms.length);
          for (const [index, delayMs] of clock.sleeps.entries()) {
            expect(delayMs).toBeLessThanOrEqual(Math.min(maxDelayMs, initialDelayMs * 2 ** index));
          }
        },
      ),
    );
  });

  test("throws the operation's error when the time is over", async () => {
    const clock = fakeClock();
    const promise = retry(failing(1_000, outage), { clock, random: () => 0.999, maxElapsedMs: 10_000 });
    await expect(promise).rejects.toMatchObject({ code: "KAFKA_UNAVAILABLE" });
    expect(clock.now()).toBeLessThanOrEqual(10_000);
    expect(clock.now()).toBeGreaterThan(3_000);
  });

  test("publishes each retry on a channel, for metrics", async () => {
    const codes: unknown[] = [];
    const listen = (message: unknown) => codes.push(((message as RetryMessage).error as HeadraceError).code);
    retriesChannel.subscribe(listen);
    try {
      await retry(failing(2, outage), { clock: fakeClock() });
    } finally {
      retriesChannel.unsubscribe(listen);
    }
    expect(codes).toEqual(["KAFKA_UNAVAILABLE", "KAFKA_UNAVAILABLE"]);
  });

  test("aborting ends a wait immediately with the signal's reason", async () => {
    const controller = new AbortController();
    const reason = new Error("stopped");
    const promise = retry(failing(1_000, outage), {
      signal: controller.signal,
      initialDelayMs: 3_600_000,
      maxDelayMs: 3_600_000,
      random: () => 0.9,
      onRetry: () => setImmediate(() => controller.abort(reason)),
    });
    await expect(promise).rejects.toBe(reason);
  });

  test("an abort during the last attempt throws the signal's reason, not the failure", async () => {
    const stopping = new AbortController();
    const operation = async () => {
      stopping.abort(new Error("stopped"));
      throw outage();
    };
    await expect(retry(operation, { signal: stopping.signal, maxElapsedMs: 0 })).rejects.toThrow("stopped");
  });

  test("does not start if the signal has already aborted", async () => {
    const reason = new Error("stopped");
    let calls = 0;
    const operation = async () => calls++;
    await expect(retry(operation, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(calls).toBe(0);
  });
});

test("after a success inside the operation, a failure is a first one again: short delay, new time limit", async () => {
  const clock = fakeClock();
  const told: number[] = [];
  let calls = 0;
  const operation = async (_attempt: number, succeeded: () => void) => {
    calls++;
    if (calls === 4) succeeded();
    if (calls <= 5) throw outage();
  };
  const onRetry = (_error: unknown, attempt: number) => told.push(attempt);
  await retry(operation, { clock, random: () => 0.5, maxElapsedMs: 400, onRetry });
  expect(told).toEqual([1, 2, 3, 1, 2]);
  expect(clock.sleeps).toEqual([50, 100, 200, 50, 100]);
});

test("every retry is logged; the level is warn when the failure has lasted for some seconds, or soon will have", () => {
  const levels: string[] = [];
  const log = (level: string) => () => levels.push(level);
  const onRetry = logRetries({ debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") }, "x");
  for (const [delayMs, failingMs] of [
    [10, 0],
    [1_000, 1_000],
    [20_000, 0],
    [10, 90_000],
  ] as const) {
    onRetry(outage(), 1, delayMs, failingMs);
  }
  expect(levels).toEqual(["info", "info", "warn", "warn"]);
});
