import type { Consumer, EachBatchPayload, Kafka } from "kafkajs";
import { fetchLogBounds } from "../../kafka/admin.ts";
import { kafkaError } from "../../kafka/errors.ts";
import type { FetchedRecord } from "../../kafka/wire/record-batch.ts";
import type { Logger } from "../../runtime/logger.ts";
import { logRetries, retry } from "../../runtime/retry.ts";
import { untilAborted } from "../../runtime/waiting.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import type { TopicPartition } from "../../schemas/partitions.ts";
import { lostRecords } from "../batches/log-bounds.ts";
import type { LostRecords, RecordLogCallbacks } from "../ports.ts";
import { newAssignment, offsetIn, withHeartbeats } from "./assignment.ts";
import type { Assignment } from "./assignment.ts";
import { FetchQueue } from "./fetch-queue.ts";
import type { Fetched } from "./fetch-queue.ts";
import { GroupOffsets } from "./group-offsets.ts";

export interface GroupSessionOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  /** The coordinator gives the partitions away when it has heard nothing for so long. */
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** How long a rebalance waits for members that still work on a batch. */
  readonly rebalanceTimeoutMs: number;
  /** How long a fetch waits for records; a seek takes effect after it. */
  readonly maxWaitMs: number;
  /** Of one fetch, compressed. A single larger record passes. */
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  /** The next fetch is made while no more than this is fetched and not applied yet, not compressed. */
  readonly readAheadBytes: number;
  readonly logger: Logger;
}

/** Batches of one fetch that kafkajs hands over at once; each only waits. */
const BATCHES_AT_ONCE = 100;

/** After that the session ends, and another begins. */
const LEADERS_PATIENCE_MS = 5_000;

/**
 * One kafkajs consumer, from joining the group to leaving it, over topics that exist. Its own notion of where to
 * read is overruled: after each join the stored offsets are sought.
 */
export class GroupSession {
  readonly #options: GroupSessionOptions;
  readonly #callbacks: RecordLogCallbacks;
  readonly #consumer: Consumer;
  readonly #ended = Promise.withResolvers<void>();
  #failure: { readonly error: unknown } | undefined;
  #hasJoined = false;
  #assignment = newAssignment();
  readonly #queue = new FetchQueue((fetched) => this.#work(fetched));
  readonly #groupOffsets: GroupOffsets;

  constructor(options: GroupSessionOptions, callbacks: RecordLogCallbacks) {
    this.#options = options;
    this.#callbacks = callbacks;
    this.#consumer = options.kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: options.sessionTimeoutMs,
      heartbeatInterval: options.heartbeatIntervalMs,
      rebalanceTimeout: options.rebalanceTimeoutMs,
      maxWaitTimeInMs: options.maxWaitMs,
      maxBytes: options.maxBytes,
      maxBytesPerPartition: options.maxBytesPerPartition,
      metadataMaxAge: 30_000,
      readUncommitted: false,
      allowAutoTopicCreation: false,
      // A crash ends the session; the caller makes another.
      retry: { initialRetryTime: 200, retries: 5, restartOnFailure: () => Promise.resolve(false) },
    });
    this.#groupOffsets = new GroupOffsets(this.#consumer, options.logger);
  }

  get hasJoined(): boolean {
    return this.#hasJoined;
  }

  /** Reads until `signal` aborts. @throws the first error of a callback, or HeadraceError */
  async run(topics: readonly string[], signal: AbortSignal): Promise<void> {
    const end = () => this.#ended.resolve();
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    try {
      await Promise.race([this.#ended.promise, this.#start(topics)]);
      await this.#ended.promise;
    } finally {
      signal.removeEventListener("abort", end);
      this.#assignment.controller.abort(new Error("the session ends"));
      await this.#queue.close();
      if (this.#failure === undefined) await this.#groupOffsets.commit();
      this.#groupOffsets.close();
      await this.#disconnect();
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #start(topics: readonly string[]): Promise<void> {
    const { events } = this.#consumer;
    // Without this a crashed consumer would leave the process up and idle.
    this.#consumer.on(events.CRASH, ({ payload }) => this.#fail(kafkaError(payload.error, "reading records")));
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => this.#assign(payload.memberAssignment));
    this.#consumer.on(events.END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0) this.#passControlRecords(payload);
    });
    try {
      await this.#consumer.connect();
      await this.#consumer.subscribe({ topics: [...topics], fromBeginning: true });
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: BATCHES_AT_ONCE,
        eachBatch: (payload) => this.#eachBatch(payload),
      });
    } catch (error) {
      throw kafkaError(error, "joining the consumer group");
    }
  }

  /** Leaves the group. */
  async #disconnect(): Promise<void> {
    try {
      await this.#consumer.disconnect();
    } catch (err) {
      // All is stored; the coordinator gives the partitions away after the session's timeout.
      this.#options.logger.warn({ err }, "the consumer group could not be left in order");
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#assignment.controller.abort(new Error("the session ends"));
    this.#ended.resolve();
  }

  /**
   * What is fetched before the stored offsets are known is left: to pause would cost kafkajs half a second, which it
   * sleeps where there is nothing to fetch.
   */
  #assign(assigned: Readonly<Record<string, readonly number[]>>): void {
    this.#assignment.controller.abort(new Error("the group was rebalanced"));
    this.#queue.drop();
    this.#groupOffsets.forget();
    const assignment = newAssignment();
    this.#assignment = assignment;
    this.#hasJoined = true;
    const partitions = Object.entries(assigned).flatMap(([topic, numbers]) =>
      numbers.map((partition) => ({ topic, partition })),
    );
    this.#options.logger.info({ partitions: partitions.map(partitionKey) }, "partitions assigned");
    if (partitions.length === 0) return;
    const { signal } = assignment.controller;
    assignment.ready = this.#guard(signal, () => this.#seek(assignment, partitions, signal));
  }

  /** Goes on at the stored offsets. What was fetched before is left. */
  async #seek(assignment: Assignment, partitions: readonly TopicPartition[], signal: AbortSignal): Promise<void> {
    const offsets = await this.#startOffsets(partitions, signal);
    for (const partition of partitions) {
      const offset = offsetIn(offsets, partition);
      assignment.offsets.set(partitionKey(partition), offset);
      this.#queue.drop(partitionKey(partition));
      this.#consumer.seek({ ...partition, offset: String(offset) });
      this.#groupOffsets.moved({ ...partition, offset });
    }
  }

  /** The stored offsets, once they lie within the logs. */
  async #startOffsets(
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, bigint>> {
    for (;;) {
      const offsets = await this.#callbacks.startOffsets(partitions, signal);
      // Of a topic that was made a moment ago the brokers may not know who leads it.
      const lost = await retry(() => this.#lostRecords(partitions, offsets), {
        signal,
        maxElapsedMs: LEADERS_PATIENCE_MS,
        onRetry: logRetries(this.#options.logger, "reading where the topics begin"),
      });
      signal.throwIfAborted();
      if (lost.length === 0) return offsets;
      await this.#callbacks.recordsLost(lost, signal);
    }
  }

  /** kafkajs fetches more while this is processed, which begins at once. */
  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const { topic, partition } = batch;
    await withHeartbeats(payload, this.#options.heartbeatIntervalMs / 2, this.#assignment.ready);
    if (payload.isStale() || !payload.isRunning()) return;
    // What our Fetch decoder puts in the place of kafkajs's messages.
    const records = batch.messages as unknown as readonly FetchedRecord[];
    this.#queue.push({
      topic,
      partition,
      firstOffset: BigInt(batch.firstOffset() ?? batch.lastOffset()),
      nextOffset: BigInt(batch.lastOffset()) + 1n,
      highWatermark: BigInt(batch.highWatermark),
      records,
      bytes: records.reduce((bytes, { key, value }) => bytes + (key?.length ?? 0) + (value?.length ?? 0), 0),
    });
    payload.resolveOffset(batch.lastOffset());
    // What ends this wait goes to kafkajs, which knows its own errors: it joins the group again, or connects again.
    await withHeartbeats(
      payload,
      this.#options.heartbeatIntervalMs / 2,
      this.#queue.untilHolds(this.#options.readAheadBytes),
    );
  }

  /** kafkajs passes these by itself, but the stored offset must not stay behind: retention would seem to lose history. */
  #passControlRecords({ topic, partition, firstOffset, lastOffset, highWatermark }: BatchEvent): void {
    this.#queue.push({
      topic,
      partition,
      firstOffset: BigInt(firstOffset ?? lastOffset),
      nextOffset: BigInt(lastOffset) + 1n,
      highWatermark: BigInt(highWatermark),
      records: [],
      bytes: 0,
    });
  }

  #work(fetched: Fetched): Promise<void> {
    const assignment = this.#assignment;
    return this.#guard(assignment.controller.signal, () => this.#process(assignment, fetched));
  }

  async #process(assignment: Assignment, fetched: Fetched): Promise<void> {
    const { topic, partition } = fetched;
    const { signal } = assignment.controller;
    const key = partitionKey(fetched);
    const startOffset = assignment.offsets.get(key);
    signal.throwIfAborted();
    if (startOffset === undefined) return;
    if (fetched.firstOffset === startOffset || (await this.#isHole(assignment, fetched, startOffset))) {
      const commit = (offset: bigint): void => {
        assignment.offsets.set(key, offset);
        if (assignment === this.#assignment) this.#groupOffsets.moved({ topic, partition, offset });
      };
      await this.#callbacks.eachBatch({ ...fetched, startOffset, signal, commit });
    }
    if (assignment.offsets.get(key) !== fetched.nextOffset) await this.#seek(assignment, [fetched], signal);
  }

  /**
   * Whether there are no records between: compaction leaves such holes. Out of range, kafkajs jumps to the log's start
   * without a word; and what it fetched in the moment of a seek begins elsewhere. So a gap has to be seen twice.
   */
  async #isHole(assignment: Assignment, fetched: Fetched, startOffset: bigint): Promise<boolean> {
    const key = partitionKey(fetched);
    if (fetched.firstOffset < startOffset) return false;
    if ((await this.#lostRecords([fetched], assignment.offsets)).length > 0) return false;
    const isSeenAgain = assignment.readAgain.get(key) === startOffset;
    assignment.readAgain.set(key, startOffset);
    return isSeenAgain;
  }

  /** @throws HeadraceError TOPIC_RECREATED */
  async #lostRecords(
    partitions: readonly TopicPartition[],
    offsets: ReadonlyMap<string, bigint>,
  ): Promise<readonly LostRecords[]> {
    const topics = partitions.map(({ topic }) => topic);
    const bounds = await fetchLogBounds(this.#options.kafka, topics);
    return partitions.flatMap((partition) => {
      // A partition without bounds was deleted between; kafkajs will say so.
      const logBounds = bounds.get(partitionKey(partition));
      return logBounds === undefined ? [] : (lostRecords(partition, offsetIn(offsets, partition), logBounds) ?? []);
    });
  }

  async #guard(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    await untilAborted(signal, work).catch((error: unknown) => this.#fail(error));
  }
}

interface BatchEvent extends TopicPartition {
  readonly firstOffset: string | null;
  readonly lastOffset: string;
  readonly highWatermark: string;
}
