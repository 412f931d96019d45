import { partitionKey } from "../../schemas/partitions.ts";
import type { TopicPartition } from "../../schemas/partitions.ts";
import type { Fetch, LogRecord } from "../ports.ts";

/** Consecutive records that were fetched from one partition. */
export interface Fetched extends TopicPartition {
  readonly firstOffset: bigint;
  readonly nextOffset: bigint;
  readonly highWatermark: bigint;
  readonly records: readonly LogRecord[];
  readonly fetches: readonly Fetch[];
  /** The size of keys and values. */
  readonly bytes: number;
}

/** What kafkajs tells of a batch that has only control records. */
export interface BatchEvent extends TopicPartition {
  readonly firstOffset: string | null;
  readonly lastOffset: string;
  readonly highWatermark: string;
}

/**
 * The batches that are fetched but not processed yet. Processes partitions in parallel, and the batches of one partition
 * in order. Batches that arrive while an earlier one of their partition is processed are joined to one: so batches grow
 * with the load.
 */
export class FetchQueue {
  readonly #process: (fetched: Fetched) => Promise<void>;
  readonly #waiting = new Map<string, Fetched[]>();
  readonly #working = new Map<string, Promise<void>>();
  #bytes = 0;
  #changed = Promise.withResolvers<void>();
  #isClosed = false;

  /** @param process must not reject */
  constructor(process: (fetched: Fetched) => Promise<void>) {
    this.#process = process;
  }

  push(fetched: Fetched): void {
    if (this.#isClosed) return;
    const key = partitionKey(fetched);
    this.#bytes += fetched.bytes;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) this.#waiting.set(key, [fetched]);
    else waiting.push(fetched);
    if (!this.#working.has(key)) this.#working.set(key, this.#work(key));
  }

  /** Resolves once at most `mostBytes` are waiting or being processed. */
  async untilHolds(mostBytes: number): Promise<void> {
    while (this.#bytes > mostBytes) await this.#changed.promise;
  }

  /** Drops the waiting batches of a partition, by default of all. Does not stop what is being processed. */
  drop(key?: string): void {
    for (const dropped of key === undefined ? [...this.#waiting.keys()] : [key]) {
      for (const { bytes } of this.#waiting.get(dropped) ?? []) this.#release(bytes);
      this.#waiting.delete(dropped);
    }
  }

  /** Accepts no more batches. Resolves when the processing has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.drop();
    await Promise.all(this.#working.values());
  }

  async #work(key: string): Promise<void> {
    for (let next = this.#take(key); next !== undefined; next = this.#take(key)) {
      await this.#process(next);
      this.#release(next.bytes);
    }
    this.#working.delete(key);
  }

  #take(key: string): Fetched | undefined {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    if (waiting === undefined) return undefined;
    const gap = waiting.findIndex((each, index) => index > 0 && each.firstOffset !== waiting[index - 1]?.nextOffset);
    if (gap > 0) this.#waiting.set(key, waiting.splice(gap));
    return joined(waiting);
  }

  #release(bytes: number): void {
    this.#bytes -= bytes;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function joined(parts: readonly Fetched[]): Fetched | undefined {
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || last === undefined || parts.length === 1) return first;
  const records = parts.flatMap((part) => part.records);
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  const fetches = parts.flatMap((part) => part.fetches);
  return { ...last, firstOffset: first.firstOffset, records, fetches, bytes };
}
