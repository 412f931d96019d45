import { batchBytes, batchRecords } from "./batch-records.ts";
import type { TopicRecord } from "./batch-records.ts";

/**
 * What is known of the sizes that Kafka takes: what the topics' configurations say, and what brokers have refused since,
 * which know more (of a limit of their own, for example). Sizes are those before compression, whose help is not
 * counted on.
 */
export class BatchLimits {
  readonly #ofRecord = new Map<string, number>();
  readonly #ofBatch = new Map<string, number>();
  /** Whether the next requests are to tell which batch is refused, as the answer does not. */
  #isSearching = false;

  /** @param maxMessageBytes the topic's `max.message.bytes` */
  set(topic: string, maxMessageBytes: number): void {
    this.#ofRecord.set(topic, maxMessageBytes);
    this.#ofBatch.set(topic, maxMessageBytes);
  }

  /** Most bytes of a batch with a single record. */
  of(topic: string): number {
    return this.#ofRecord.get(topic) ?? Infinity;
  }

  /** Cuts records into requests. Those of a partition stay in their order. */
  *requests(records: readonly TopicRecord[]): Generator<readonly TopicRecord[]> {
    const parts = this.#isSearching ? Map.groupBy(records, partitionOf).values() : [records];
    for (const part of parts) yield* batchRecords(part, (topic) => this.#ofBatch.get(topic) ?? Infinity);
  }

  /**
   * Learns from a request that was refused as too large; the same records are to be sent in other requests, without
   * those that are now known to be too large.
   * @param maxMessageBytes what the topics' configurations say now
   * @returns false where nothing can be done about it
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
