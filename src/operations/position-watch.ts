import type { Kafka } from "kafkajs";
import { followPartition } from "../kafka/topic-reader.ts";
import { fetchLogBounds } from "../kafka/topics.ts";
import { retry } from "../runtime/retry.ts";
import type { Position } from "../schemas/change-event.ts";
import { partitionKey } from "../schemas/partitions.ts";
import { decodePosition, POSITION_KEY } from "../schemas/position.ts";
import { positionsTopic } from "../schemas/topics.ts";

/**
 * The producer's committed position, followed as it moves. Each question is answered with what is known by then, and has
 * the topic read on for the next one: under load a position comes with every transaction, and few of them are asked for.
 */
export interface PositionWatch {
  /** The newest one, as of the last question; null if none was ever committed. @throws HeadraceError */
  latest(): Promise<Position | null>;
  /**
   * As of the last question, the newest one with another record after it; null if there is none. Kafka shows a transaction in one partition
   * earlier than in another, but begins the next transaction only when it shows all of it. So the topics' ends, fetched
   * after this call, are after everything that was published up to the position. @throws HeadraceError
   */
  latestSettled(): Promise<Position | null>;
  close(): Promise<void>;
}

/** How far before the end to begin: a transaction has two to four offsets, and the last one has a position. */
const LAST_OFFSETS = 1_000n;
/** The brokers may not know the leader of a new topic yet. */
const LEADER_PATIENCE_MS = 5_000;

/** Follows the positions topic, which must exist. @throws HeadraceError */
export async function watchPosition(kafka: Kafka, name: string): Promise<PositionWatch> {
  const topic = positionsTopic(name);
  const bounds = await retry(() => fetchLogBounds(kafka, [topic]), { maxElapsedMs: LEADER_PATIENCE_MS });
  const { low, high } = bounds.get(partitionKey({ topic, partition: 0 })) ?? { low: 0n, high: 0n };
  const near = high - LAST_OFFSETS;
  return new FollowedPosition(kafka, topic, { from: near > low ? near : low, end: high });
}

class FollowedPosition implements PositionWatch {
  readonly #closing = new AbortController();
  readonly #reading: Promise<void>;
  readonly #caughtUp = Promise.withResolvers<void>();
  #newest: Buffer | null = null;
  #settled: Buffer | null = null;
  #failure: { readonly error: unknown } | undefined;
  #asked = Promise.withResolvers<void>();

  constructor(kafka: Kafka, topic: string, range: { readonly from: bigint; readonly end: bigint }) {
    // latest() reports it.
    this.#caughtUp.promise.catch(() => {});
    this.#reading = this.#read(kafka, topic, range);
  }

  async latest(): Promise<Position | null> {
    await this.#untilCaughtUp();
    return decoded(this.#newest ?? this.#settled);
  }

  async latestSettled(): Promise<Position | null> {
    await this.#untilCaughtUp();
    return decoded(this.#settled);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#asked.resolve();
    await this.#reading;
  }

  async #untilCaughtUp(): Promise<void> {
    await this.#caughtUp.promise;
    this.#asked.resolve();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Has caught up once it has read everything that was readable when it was opened, or at any time after that. */
  async #read(kafka: Kafka, topic: string, { from, end }: { from: bigint; end: bigint }): Promise<void> {
    const { signal } = this.#closing;
    let hasCaughtUp = false;
    const isPatient = () => hasCaughtUp;
    const place = { topic, partition: 0, from, signal, doing: "reading the producer's position", isPatient };
    try {
      for await (const { records, nextOffset, stableEnd } of followPartition(kafka, place)) {
        for (const { key, value } of records) {
          this.#settled = this.#newest ?? this.#settled;
          this.#newest = key?.toString() === POSITION_KEY ? value : null;
        }
        if (nextOffset < stableEnd && (hasCaughtUp || nextOffset < end)) continue;
        hasCaughtUp = true;
        this.#caughtUp.resolve();
        await this.#asked.promise;
        this.#asked = Promise.withResolvers();
      }
    } catch (error) {
      this.#failure = { error };
      this.#caughtUp.reject(error);
    }
  }
}

function decoded(position: Buffer | null): Position | null {
  return position === null ? null : decodePosition(String(position));
}
