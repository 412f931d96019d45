import { pause, untilAborted } from "../../runtime/waiting.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import type { PartitionOffset, TopicPartition } from "../../schemas/partitions.ts";

const POLL_MS = 100;

/**
 * Resolves once the stored progress of every partition has reached its target, whichever member of the group gets
 * it there; also when `signal` aborts before.
 */
export function reachTarget(
  target: Promise<readonly PartitionOffset[]>,
  readProgress: (partitions: readonly TopicPartition[]) => Promise<ReadonlyMap<string, bigint>>,
  signal: AbortSignal,
): Promise<void> {
  return untilAborted(signal, async () => {
    let missing = await Promise.race([target, aborted(signal)]);
    while (missing.length > 0) {
      const progress = await readProgress(missing);
      missing = missing.filter((end) => (progress.get(partitionKey(end)) ?? 0n) < end.offset);
      if (missing.length > 0) await pause(POLL_MS, signal);
    }
  });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
