import { setTimeout as sleep } from "node:timers/promises";

/** Waits. Throws the signal's own reason when it aborts, where the timer's error would hide it. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleep(delayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}

/** Does some work. That it was left off because `signal` aborted, which it shows by throwing the reason, is no failure. */
export async function untilAborted(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
}
