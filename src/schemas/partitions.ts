export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionOffset extends TopicPartition {
  readonly offset: bigint;
}

/** What the log of a partition holds: from `low` on, below `high`. */
export interface LogBounds {
  readonly low: bigint;
  readonly high: bigint;
}

/** The key of a partition in maps. */
export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
