/** Does some work. That it was left off because `signal` aborted, which it shows by throwing the reason, is no failure. */
export async function untilAborted(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
}
