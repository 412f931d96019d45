/** A record to be written to Kafka. */
export interface TopicRecord {
  readonly topic: string;
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

/** Most bytes of one partition in a request: what brokers take as one batch by default, less some overhead. */
const PARTITION_BYTES = 900_000;
/** Most bytes of a request. */
const REQUEST_BYTES = 8 * 1024 * 1024;
/** What Kafka adds to a record, headers aside, at most; and to a batch of them. */
const RECORD_OVERHEAD_BYTES = 36;
const BATCH_OVERHEAD_BYTES = 61;

/** The size of a partition's batch before compression, or somewhat more. */
export function batchBytes(records: readonly SizedRecord[]): number {
  return records.reduce((bytes, record) => bytes + recordBytes(record), BATCH_OVERHEAD_BYTES);
}

type SizedRecord = Pick<TopicRecord, "key" | "value" | "headers">;

/** The size of a record in a batch before compression, or somewhat more. */
export function recordBytes({ key, value, headers }: SizedRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
  if (headers === undefined) return bytes;
  for (const [name, text] of Object.entries(headers)) bytes += 10 + Buffer.byteLength(name) + Buffer.byteLength(text);
  return bytes;
}

/**
 * Cuts records into requests, in their order. A record that is larger than the limits has a request of its own.
 * @param maxBytesOf most bytes of a batch in a topic
 */
export function* batchRecords(
  records: readonly TopicRecord[],
  maxBytesOf: (topic: string) => number,
): Generator<readonly TopicRecord[]> {
  let batch: TopicRecord[] = [];
  let bytes = 0;
  const partitionBytes = new PartitionBytes();
  for (const record of records) {
    const own = recordBytes(record);
    const mostOfPartition = Math.min(PARTITION_BYTES, maxBytesOf(record.topic) - BATCH_OVERHEAD_BYTES);
    const isFull = partitionBytes.of(record) + own > mostOfPartition || bytes + own > REQUEST_BYTES;
    if (isFull && batch.length > 0) {
      yield batch;
      batch = [];
      bytes = 0;
      partitionBytes.clear();
    }
    batch.push(record);
    bytes += own;
    partitionBytes.add(record, own);
  }
  if (batch.length > 0) yield batch;
}

class PartitionBytes {
  readonly #ofTopic = new Map<string, number[]>();

  of({ topic, partition }: TopicRecord): number {
    return this.#ofTopic.get(topic)?.[partition] ?? 0;
  }

  add(record: TopicRecord, bytes: number): void {
    const { topic, partition } = record;
    let ofPartition = this.#ofTopic.get(topic);
    if (ofPartition === undefined) this.#ofTopic.set(topic, (ofPartition = []));
    ofPartition[partition] = this.of(record) + bytes;
  }

  clear(): void {
    this.#ofTopic.clear();
  }
}
