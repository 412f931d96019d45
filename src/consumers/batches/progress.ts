import { pause, unlessAborted, untilAborted } from "../../runtime/waiting.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import type { PartitionOffset, TopicPartition } from "../../schemas/partitions.ts";

const POLL_MS = 100;

interface StoredProgress {
  /** Forgets the progress in topics that have been created again: it could be past their ends. */
  readonly admit: (topics: readonly string[]) => Promise<void>;
  readonly read: (partitions: readonly TopicPartition[]) => Promise<ReadonlyMap<string, bigint>>;
}

/**
 * Resolves when the stored progress of every partition has reached its target, whichever members of the group apply the
 * records, or when `signal` aborts.
 */
export function reachTarget(
  target: Promise<readonly PartitionOffset[]>,
  { admit, read }: StoredProgress,
  signal: AbortSignal,
): Promise<void> {
  return untilAborted(signal, async () => {
    let missing = await unlessAborted(target, signal);
    if (missing.length > 0) await admit([...new Set(missing.map(({ topic }) => topic))]);
    while (missing.length > 0) {
      const progress = await read(missing);
      missing = missing.filter((end) => (progress.get(partitionKey(end)) ?? 0n) < end.offset);
      if (missing.length > 0) await pause(POLL_MS, signal);
    }
  });
}

/**
 * Whether the stored progress has reached the topics' ends. That alone does not make the tables complete: the progress
 * also moves past records that Kafka lost, after a signal to copy their collection again. So no signal may be waiting.
 */
export function isApplied(ends: readonly PartitionOffset[], progress: ReadonlyMap<string, bigint>): boolean {
  return ends.every((end) => lagOf(end, progress) === 0n);
}

/** How many offsets of a partition are not applied yet. */
export function lagOf(end: PartitionOffset, progress: ReadonlyMap<string, bigint>): bigint {
  const lag = end.offset - (progress.get(partitionKey(end)) ?? 0n);
  return lag > 0n ? lag : 0n;
}
