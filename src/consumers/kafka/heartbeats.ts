import type { EachBatchPayload } from "kafkajs";

/**
 * Waits for some work while the group's coordinator is told that this member lives: kafkajs does so only between
 * batches.
 * @throws the error of a heartbeat that failed, as when the group is being rebalanced
 */
export async function withHeartbeats(
  payload: Pick<EachBatchPayload, "heartbeat">,
  intervalMs: number,
  work: Promise<void>,
): Promise<void> {
  const failed = Promise.withResolvers<never>();
  const timer = setInterval(() => void payload.heartbeat().catch(failed.reject), intervalMs);
  try {
    await Promise.race([work, failed.promise]);
  } finally {
    clearInterval(timer);
  }
}
