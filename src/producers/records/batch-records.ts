/** A record to write to Kafka. */
export interface TopicRecord {
  readonly topic: string;
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

/** Most bytes of one partition in a request: a little less than the largest batch that brokers accept by default. */
const PARTITION_BYTES = 900_000;
/** Most bytes of a request. */
const REQUEST_BYTES = 8 * 1024 * 1024;
/** Most bytes that Kafka adds to a record, apart from its headers. */
const RECORD_OVERHEAD_BYTES = 36;
/** Bytes that Kafka adds to a batch of records. */
const BATCH_OVERHEAD_BYTES = 61;

/** An upper bound of a partition's batch in bytes, before compression. */
export function batchBytes(records: readonly SizedRecord[]): number {
  return records.reduce((bytes, record) => bytes + recordBytes(record), BATCH_OVERHEAD_BYTES);
}

type SizedRecord = Pick<TopicRecord, "key" | "value" | "headers">;

/** An upper bound of a record in a batch in bytes, before compression. */
export function recordBytes({ key, value, headers }: SizedRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
  if (headers === undefined) return bytes;
  for (const [name, text] of Object.entries(headers)) bytes += 10 + Buffer.byteLength(name) + Buffer.byteLength(text);
  return bytes;
}

/**
 * Cuts records into requests and keeps their order. A record above the limits gets a request of its own.
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
