export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionOffset extends TopicPartition {
  readonly offset: bigint;
}

/** The offsets in the log of a partition: from `low`, inclusive, to `high`, exclusive. */
export interface LogBounds {
  readonly low: bigint;
  readonly high: bigint;
}

/** A partition as a text, for the keys of maps. */
export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
