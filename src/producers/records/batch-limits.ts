import { batchBytes, batchRecords, recordBytes } from "./batch-records.ts";
import type { TopicRecord } from "./batch-records.ts";

/** Larger than the records of any batch. */
const LARGEST_TRANSACTION_BYTES = 128 * 1024 * 1024;

/**
 * The sizes that Kafka accepts: the limits in the topics' configurations, and those learned from requests that brokers
 * have refused, because a broker may have a lower limit; and the size of a transaction that Kafka takes in time. All
 * sizes are in bytes before compression.
 */
export class BatchLimits {
  readonly #ofRecord = new Map<string, number>();
  readonly #ofBatch = new Map<string, number>();
  /** Whether each partition gets a request of its own. The response to a refused one does not say which batch it means. */
  #isSearching = false;
  #ofTransaction = Infinity;

  /** @param maxMessageBytes the topic's `max.message.bytes` */
  set(topic: string, maxMessageBytes: number): void {
    this.#ofRecord.set(topic, maxMessageBytes);
    this.#ofBatch.set(topic, maxMessageBytes);
  }

  /** Most bytes of a batch with a single record. */
  of(topic: string): number {
    return this.#ofRecord.get(topic) ?? Infinity;
  }

  /** Cuts records into transactions. They keep their order. */
  *transactions(records: readonly TopicRecord[]): Generator<readonly TopicRecord[]> {
    let part: TopicRecord[] = [];
    let bytes = 0;
    for (const record of this.#ofTransaction === Infinity ? [] : records) {
      const own = recordBytes(record);
      if (part.length > 0 && bytes + own > this.#ofTransaction) {
        yield part;
        part = [];
        bytes = 0;
      }
      part.push(record);
      bytes += own;
    }
    yield this.#ofTransaction === Infinity ? records : part;
  }

  /**
   * Learns from a transaction that Kafka did not take in time: the next ones have half of its size.
   * @returns the most bytes of a transaction from now on
   */
  tookTooLong(records: readonly TopicRecord[]): number {
    return (this.#ofTransaction = batchBytes(records) / 2);
  }

  /** Learns from a transaction that Kafka took quickly: if they were made smaller, the next ones are twice as large. */
  tookShort(): void {
    this.#ofTransaction = this.#ofTransaction > LARGEST_TRANSACTION_BYTES ? Infinity : this.#ofTransaction * 2;
  }

  /** Cuts records into requests. The records of a partition keep their order. */
  *requests(records: readonly TopicRecord[]): Generator<readonly TopicRecord[]> {
    const parts = this.#isSearching ? Map.groupBy(records, partitionOf).values() : [records];
    for (const part of parts) yield* batchRecords(part, (topic) => this.#ofBatch.get(topic) ?? Infinity);
  }

  /**
   * Learns from a request that a broker refused as too large. The caller makes the records and requests again; records
   * that are now known to be too large become dead letters.
   * @param maxMessageBytes the topics' limits now, in bytes
   * @returns false if other requests would not help
   */
  refused(request: readonly TopicRecord[], maxMessageBytes: ReadonlyMap<string, number>): boolean {
    const lowered = [...maxMessageBytes].filter(([topic, bytes]) => bytes < this.of(topic));
    for (const [topic, bytes] of lowered) this.set(topic, bytes);
    if (lowered.length > 0) return true;
    this.#isSearching = new Set(request.map(partitionOf)).size > 1;
    const [first] = request;
    if (this.#isSearching || first === undefined) return true;
    if (!this.#ofRecord.has(first.topic)) return false;
    const bytes = batchBytes(request);
    if (request.length === 1) this.#ofRecord.set(first.topic, bytes - 1);
    else this.#ofBatch.set(first.topic, bytes / 2);
    return true;
  }
}

function partitionOf({ topic, partition }: TopicRecord): string {
  return `${topic}/${partition}`;
}
