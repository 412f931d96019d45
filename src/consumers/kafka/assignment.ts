import { partitionKey } from "../ports.ts";
import type { TopicPartition } from "../ports.ts";

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
