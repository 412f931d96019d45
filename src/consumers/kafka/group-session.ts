import { setTimeout as sleep } from "node:timers/promises";
import type { Consumer, EachBatchPayload, Kafka } from "kafkajs";
import { kafkaError } from "../../kafka/errors.ts";
import { assignerWith, refuseOtherConfig } from "../../kafka/group-config.ts";
import type { MemberConfig } from "../../kafka/group-config.ts";
import { fetchLogBounds } from "../../kafka/topics.ts";
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
import type { BatchEvent, Fetched } from "./fetch-queue.ts";
import { GroupOffsets } from "./group-offsets.ts";

export interface GroupSessionOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  /** After this time without a heartbeat the coordinator gives the partitions to other members. */
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** How long a rebalance waits for members that are still processing a batch. */
  readonly rebalanceTimeoutMs: number;
  /** How long a fetch waits for records. A seek takes effect only after that. */
  readonly maxWaitMs: number;
  /** Of one fetch, compressed. A single larger record is fetched all the same. */
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  /** The next fetch starts only while at most this much is fetched but not applied, uncompressed. */
  readonly readAheadBytes: number;
  readonly config: MemberConfig;
  readonly logger: Logger;
}

/** How many batches of one fetch kafkajs passes to us at the same time. They only wait in the queue. */
const BATCHES_AT_ONCE = 100;
/** How long an ending session waits for its join; a join can take as long as the other members work on their batches. */
const JOIN_PATIENCE_MS = 5_000;
/** How long to wait for a partition to get a leader; then a new session begins. */
const LEADERS_PATIENCE_MS = 5_000;

/**
 * One kafkajs consumer of existing topics, from joining the group to leaving it. After each join it seeks to the stored
 * offsets; the offsets that the group has committed do not count.
 */
export class GroupSession {
  readonly #options: GroupSessionOptions;
  readonly #callbacks: RecordLogCallbacks;
  readonly #consumer: Consumer;
  readonly #ended = Promise.withResolvers<void>();
  #failure: { readonly error: unknown } | undefined;
  #topicIds: ReadonlyMap<string, string | null> = new Map();
  #hasJoined = false;
  #isEnding = false;
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
      partitionAssigners: [assignerWith(options.config)],
      allowAutoTopicCreation: false,
      // A crash ends the session; the caller opens another one.
      retry: { initialRetryTime: 200, retries: 5, restartOnFailure: () => Promise.resolve(false) },
    });
    this.#groupOffsets = new GroupOffsets(this.#consumer, options.logger);
  }

  get hasJoined(): boolean {
    return this.#hasJoined;
  }

  /** Reads until `signal` aborts. @param topics with Kafka's ids @throws the first error of a callback, or HeadraceError */
  async run(topics: ReadonlyMap<string, string | null>, signal: AbortSignal): Promise<void> {
    this.#topicIds = topics;
    const end = () => this.#ended.resolve();
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    const starting = this.#start([...topics.keys()]);
    try {
      await Promise.race([this.#ended.promise, starting]);
      await this.#ended.promise;
    } finally {
      signal.removeEventListener("abort", end);
      this.#isEnding = true;
      this.#assignment.controller.abort(new Error("the session ends"));
      await this.#queue.close();
      if (this.#failure === undefined) await this.#groupOffsets.commit();
      this.#groupOffsets.close();
      // A member that goes away while it joins cannot leave: the others would wait until its session times out.
      await Promise.race([starting.catch(() => {}), sleep(JOIN_PATIENCE_MS, undefined, { ref: false })]);
      await this.#disconnect();
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #start(topics: string[]): Promise<void> {
    const { events } = this.#consumer;
    // Otherwise the process would stay up but do nothing after a crash of the consumer.
    this.#consumer.on(events.CRASH, ({ payload }) => this.#fail(kafkaError(payload.error, "reading records")));
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => this.#assign(payload.memberAssignment));
    this.#consumer.on(events.END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0) this.#passControlRecords(payload);
    });
    try {
      await this.#consumer.connect();
      await this.#consumer.subscribe({ topics, fromBeginning: true });
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
      // Everything is stored. The coordinator gives the partitions to others after the session timeout.
      this.#options.logger.warn({ err }, "leaving the consumer group failed");
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#assignment.controller.abort(new Error("the session ends"));
    this.#ended.resolve();
  }

  /**
   * Records that are fetched before the stored offsets are known are dropped. Pausing the partitions instead would cost
   * half a second: with nothing to fetch, kafkajs sleeps that long.
   */
  #assign(assigned: Readonly<Record<string, readonly number[]>>): void {
    if (this.#isEnding) return;
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
    const { signal } = assignment.controller;
    assignment.ready = this.#guard(signal, async () => {
      await refuseOtherConfig(this.#options);
      if (partitions.length > 0) await this.#seek(assignment, partitions, signal);
    });
  }

  /** Seeks to the stored offsets, and drops what was fetched before. */
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

  /** @returns the stored offsets, once all of them lie within the logs */
  async #startOffsets(
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, bigint>> {
    for (;;) {
      const offsets = await this.#callbacks.startOffsets(partitions, signal);
      // The brokers may not know the leader of a new topic yet.
      const lost = await retry(() => this.#lostRecords(partitions, offsets), {
        signal,
        maxElapsedMs: LEADERS_PATIENCE_MS,
        onRetry: logRetries(this.#options.logger, "reading the bounds of the topics"),
      });
      signal.throwIfAborted();
      if (lost.length === 0) return offsets;
      await this.#callbacks.recordsLost(lost, signal);
    }
  }

  /** Queues a batch; kafkajs fetches the next ones while it is processed. */
  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const { topic, partition } = batch;
    const at = performance.now();
    const { heartbeatIntervalMs, readAheadBytes } = this.#options;
    await withHeartbeats(payload, heartbeatIntervalMs / 2, this.#assignment.ready);
    if (payload.isStale() || !payload.isRunning()) return;
    // Our Fetch decoder has put its records in place of kafkajs's messages.
    const records = batch.messages as unknown as readonly FetchedRecord[];
    const nextOffset = BigInt(batch.lastOffset()) + 1n;
    this.#queue.push({
      topic,
      partition,
      firstOffset: BigInt(batch.firstOffset() ?? batch.lastOffset()),
      nextOffset,
      highWatermark: BigInt(batch.highWatermark),
      records,
      fetches: [{ nextOffset, at }],
      bytes: records.reduce((bytes, { key, value }) => bytes + (key?.length ?? 0) + (value?.length ?? 0), 0),
    });
    payload.resolveOffset(batch.lastOffset());
    // An error of a heartbeat goes to kafkajs, which then joins the group or connects again.
    await withHeartbeats(payload, heartbeatIntervalMs / 2, this.#queue.untilHolds(readAheadBytes));
  }

  /** kafkajs skips these, but the stored offset must pass them: otherwise retention would seem to delete unread records. */
  #passControlRecords({ topic, partition, firstOffset, lastOffset, highWatermark }: BatchEvent): void {
    this.#queue.push({
      topic,
      partition,
      firstOffset: BigInt(firstOffset ?? lastOffset),
      nextOffset: BigInt(lastOffset) + 1n,
      highWatermark: BigInt(highWatermark),
      records: [],
      fetches: [],
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
   * Whether the log has no records between the stored offset and the fetched ones: compaction leaves such holes. There
   * are two other reasons for a gap. kafkajs jumps to the log's start when its offset is out of range, without an error;
   * and a fetch that was on its way during a seek begins elsewhere. So a gap counts as a hole when it is seen twice.
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
      // A partition without bounds was deleted meanwhile; kafkajs reports that.
      const found = bounds.get(partitionKey(partition));
      const topicId = this.#topicIds.get(partition.topic) ?? null;
      return found === undefined ? [] : (lostRecords(partition, offsetIn(offsets, partition), found, topicId) ?? []);
    });
  }

  async #guard(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    await untilAborted(signal, work).catch((error: unknown) => this.#fail(error));
  }
}
