import type { EachBatchPayload } from "kafkajs";

/**
 * Does some work while the group's coordinator is told that this member lives: kafkajs does so only between
 * batches. `onLost` hears of a heartbeat that failed, as when the group is being rebalanced, and of the
 * consumer's end; the work is then to be left off soon.
 */
export async function withHeartbeats<T>(
  payload: Pick<EachBatchPayload, "heartbeat" | "isRunning">,
  intervalMs: number,
  onLost: (reason: unknown) => void,
  work: () => Promise<T>,
): Promise<T> {
  const timer = setInterval(() => {
    if (payload.isRunning()) payload.heartbeat().catch(onLost);
    else onLost(new Error("the consumer is being stopped"));
  }, intervalMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
