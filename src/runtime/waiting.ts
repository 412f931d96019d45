import { setTimeout as sleep } from "node:timers/promises";

/** Waits. Throws the signal's own reason when it aborts, where the timer's error would hide it. */
export async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleep(delayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}
