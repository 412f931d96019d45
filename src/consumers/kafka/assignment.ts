import type { EachBatchPayload } from "kafkajs";
import { partitionKey } from "../../schemas/partitions.ts";
import type { TopicPartition } from "../../schemas/partitions.ts";

/** A member's state between two rebalances of the group. */
export interface Assignment {
  /** Is aborted when the next assignment begins or the session ends. */
  readonly controller: AbortController;
  /** The stored offset of each partition, by `partitionKey`, once it is known. */
  readonly offsets: Map<string, bigint>;
  /** The offset at which each partition was read again because of a gap, by `partitionKey`. */
  readonly readAgain: Map<string, bigint>;
  /** Resolves once the consumer has sought the stored offsets. */
  ready: Promise<void>;
}

export function newAssignment(): Assignment {
  return { controller: new AbortController(), offsets: new Map(), readAgain: new Map(), ready: Promise.resolve() };
}

/** @throws Error for a partition without an offset: a bug */
export function offsetIn(offsets: ReadonlyMap<string, bigint>, partition: TopicPartition): bigint {
  const offset = offsets.get(partitionKey(partition));
  if (offset === undefined) throw new Error(`no stored offset for ${partitionKey(partition)}`);
  return offset;
}

/**
 * Waits for `work` and sends heartbeats to the group's coordinator meanwhile: kafkajs sends them only between batches.
 * @throws the error of a failed heartbeat, for example because the group is being rebalanced
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
