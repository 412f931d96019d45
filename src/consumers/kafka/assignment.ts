import type { EachBatchPayload } from "kafkajs";
import { partitionKey } from "../../schemas/partitions.ts";
import type { TopicPartition } from "../../schemas/partitions.ts";

/** What a member of the group has between two rebalances. */
export interface Assignment {
  /** Aborts when the next assignment begins, or the session ends. */
  readonly controller: AbortController;
  /** The stored offset of each partition, once it is known. */
  readonly offsets: Map<string, bigint>;
  /** Where each partition was read again because of a gap. */
  readonly readAgain: Map<string, bigint>;
  /** Resolves once the offsets are sought. */
  ready: Promise<void>;
}

export function newAssignment(): Assignment {
  return { controller: new AbortController(), offsets: new Map(), readAgain: new Map(), ready: Promise.resolve() };
}

/** @throws Error where it is not known: a bug */
export function offsetIn(offsets: ReadonlyMap<string, bigint>, partition: TopicPartition): bigint {
  const offset = offsets.get(partitionKey(partition));
  if (offset === undefined) throw new Error(`no stored offset for ${partitionKey(partition)}`);
  return offset;
}

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
