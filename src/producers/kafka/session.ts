import kafkajs from "kafkajs";
import type { Kafka, Message, Producer, ProducerBatch, Transaction } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { isTooLarge, producerError, withoutOffset } from "../../kafka/errors.ts";
import { groupedByPartition } from "../../kafka/wire/kafkajs-arrays.ts";
import type { Logger } from "../../runtime/logger.ts";
import { latest } from "../../schemas/change-event.ts";
import type { ChangeEvent, Position, Version } from "../../schemas/change-event.ts";
import { encodePosition, MARKER_KEY, POSITION_KEY } from "../../schemas/position.ts";
import type { Instance } from "../../schemas/position.ts";
import { positionsTopic, transactionalId } from "../../schemas/topics.ts";
import type { OpenSession, ProducerObserver, Session, SourceBatch } from "../ports.ts";
import type { BatchLimits } from "../records/batch-limits.ts";
import type { TopicRecord } from "../records/batch-records.ts";
import { readPositions } from "./positions.ts";
import type { PositionsFound } from "./positions.ts";
import type { TopicWatch } from "./topic-watch.ts";

/** Makes records of events, before the transaction begins: an event that cannot become a record fails here. */
export type MakeRecords = (events: readonly ChangeEvent[]) => Promise<readonly TopicRecord[]>;

export interface SessionOptions {
  readonly kafka: Kafka;
  /** The pipeline's name. */
  readonly name: string;
  readonly makeRecords: MakeRecords;
  /** Called when the records that were made last are committed. */
  readonly onCommitted?: () => void;
  readonly limits: BatchLimits;
  /** The `max.message.bytes` that the collections' topics have now. */
  readonly messageLimits: () => Promise<ReadonlyMap<string, number>>;
  /** This process. */
  readonly instance: Instance;
  /** The broker aborts a transaction that takes longer, ms. */
  readonly transactionTimeoutMs?: number;
  readonly observer?: Pick<ProducerObserver, "transactionTooSlow" | "timed">;
  readonly logger: Logger;
  /** Null for a session that publishes positions only. */
  readonly watch: TopicWatch | null;
}

const TRANSACTION_TIMEOUT_MS = 60_000;

/**
 * A transaction often has to wait for the end of the one before (CONCURRENT_TRANSACTIONS), so the first waits (ms) are
 * short: see docs/performance.md.
 */
const RETRY = { initialRetryTime: 1, multiplier: 1.5, maxRetryTime: 1_000, retries: 34 };

// Node finds only some of kafkajs's exports by name.
const { CompressionTypes: Compression } = kafkajs;

/**
 * Opens the sessions of one process, one after the other. Each has its own kafkajs producer: after a transaction without
 * an acknowledged commit, kafkajs's sequence numbers are wrong, and the broker would drop the next batch as a duplicate.
 * @throws HeadraceError FENCED (fatal) if a younger process produces under the same name
 */
export function kafkaSessions(options: SessionOptions): OpenSession {
  const { instance } = options;
  let firstMarker: bigint | null = null;
  return async ({ signal }) => {
    signal.throwIfAborted();
    const producer = createProducer(options);
    try {
      await producer.connect();
      const marker = await commitMarker(producer, positionsTopic(options.name), instance);
      const found = await findPosition(options, { marker, since: firstMarker, instance, signal });
      firstMarker ??= marker;
      const position = options.watch === null ? found.position : await options.watch.admit(found.position);
      return new KafkaSession(producer, options, position);
    } catch (error) {
      await producer.disconnect();
      signal.throwIfAborted();
      throw await explain(options, producerError(error, "opening a session"));
    }
  };
}

class KafkaSession implements Session {
  readonly position: Position | null;
  readonly #producer: Producer;
  readonly #options: SessionOptions;
  #transaction: Transaction | undefined;
  #hasEnded = false;
  #clusterTime: Version;
  #published: Position | null = null;
  /** How long the commits of the last batch took, ms. */
  #commitMs = 0;

  constructor(producer: Producer, options: SessionOptions, position: Position | null) {
    this.#producer = producer;
    this.#options = options;
    this.position = position;
    this.#clusterTime = position?.clusterTime ?? 0n;
  }

  async publish(batch: SourceBatch): Promise<void> {
    const { events, position, onCommitting } = batch;
    const beganAt = performance.now();
    if (this.#hasEnded) throw new Error("the session has ended");
    if (position.clusterTime < this.#clusterTime) throw positionWentBack();
    this.#hasEnded = true;
    const { makeRecords, onCommitted, limits, observer, watch } = this.#options;
    watch?.check();
    const before = this.#published ?? this.position;
    const records = await makeRecords(events);
    const encodedAt = performance.now();
    this.#commitMs = 0;
    const parts = before === null ? [records] : [...limits.transactions(records)];
    for (const [index, part] of parts.entries()) {
      const isLast = index === parts.length - 1 || before === null;
      if (isLast) await this.#commit(part, position, onCommitting);
      else await this.#commit(part, withinBatch(before, events));
    }
    this.#transaction = undefined;
    this.#hasEnded = false;
    this.#clusterTime = position.clusterTime;
    this.#published = position;
    onCommitted?.();
    observer?.timed?.(batch, { beganAt, encodedAt, commitMs: this.#commitMs, endedAt: performance.now() });
  }

  async #commit(events: readonly TopicRecord[], position: Position, onCommitting?: () => void): Promise<void> {
    const { name, limits, watch, transactionTimeoutMs = TRANSACTION_TIMEOUT_MS } = this.#options;
    const records = [...events, positionRecord(name, watch?.identify(position) ?? position)];
    const startedAt = performance.now();
    try {
      this.#transaction = await this.#producer.transaction();
      for (const request of limits.requests(records)) await this.#send(this.#transaction, request);
      const committingAt = performance.now();
      onCommitting?.();
      await this.#transaction.commit();
      this.#commitMs += performance.now() - committingAt;
    } catch (error) {
      const failure = producerError(error, "publishing");
      const tookMs = performance.now() - startedAt;
      if (failure.code === "KAFKA_SESSION_LOST" && tookMs >= transactionTimeoutMs) this.#tookTooLong(records, tookMs);
      throw await explain(this.#options, failure);
    }
    if (events.length > 0 && performance.now() - startedAt < transactionTimeoutMs / 8) limits.tookShort();
  }

  #tookTooLong(records: readonly TopicRecord[], tookMs: number): void {
    const { limits, observer, logger } = this.#options;
    const maxBytes = Math.round(limits.tookTooLong(records));
    observer?.transactionTooSlow?.();
    const fields = { seconds: Math.round(tookMs / 1_000), records: records.length, maxBytes };
    logger.warn(fields, "Kafka aborted a transaction that took too long; making transactions smaller");
  }

  async #send(transaction: Transaction, request: readonly TopicRecord[]): Promise<void> {
    try {
      await transaction.sendBatch(toRequest(request));
    } catch (error) {
      const { limits, messageLimits } = this.#options;
      throw isTooLarge(error) && limits.refused(request, await messageLimits()) ? batchRefused(error) : error;
    }
  }

  /** Publishes the last position once more: Kafka begins that transaction only when readers can see the one before. */
  async close(): Promise<void> {
    try {
      if (!this.#hasEnded && this.#published !== null) await this.publish({ events: [], position: this.#published });
    } finally {
      await this.#end();
    }
  }

  async #end(): Promise<void> {
    this.#hasEnded = true;
    try {
      // Readers would wait for an open transaction, which the broker aborts only after a minute.
      if (this.#transaction?.isActive() === true) await this.#transaction.abort();
    } catch {
      // The next session aborts it, or the broker does.
    } finally {
      await this.#producer.disconnect();
    }
  }
}

/**
 * The position between the transactions of one batch: the one before it, with a horizon up to which keys may be
 * published. After a crash the batch is read again, and what is published then is not older.
 */
function withinBatch(before: Position, events: readonly ChangeEvent[]): Position {
  const horizon = events.reduce((newest, { version }) => latest(newest, version), before.horizon);
  return { ...before, horizon };
}

async function explain({ watch }: SessionOptions, failure: HeadraceError): Promise<HeadraceError> {
  return watch === null ? failure : await watch.explain(failure);
}

function createProducer({ kafka, name, transactionTimeoutMs = TRANSACTION_TIMEOUT_MS }: SessionOptions): Producer {
  return kafka.producer({
    idempotent: true,
    transactionalId: transactionalId(name),
    maxInFlightRequests: 1,
    transactionTimeout: transactionTimeoutMs,
    allowAutoTopicCreation: false,
    retry: RETRY,
    // Each record has its partition.
    createPartitioner: () => partitionOfMessage,
  });
}

/** The begin of the transaction fences the other producers of the name. @returns the marker's offset */
async function commitMarker(producer: Producer, topic: string, instance: Instance): Promise<bigint> {
  const transaction = await producer.transaction();
  const marker = { key: MARKER_KEY, value: JSON.stringify(instance), partition: 0 };
  const [sent] = await transaction.send({ topic, messages: [marker] });
  await transaction.commit();
  if (sent?.baseOffset === undefined) throw withoutOffset(topic);
  return BigInt(sent.baseOffset);
}

interface FindOptions {
  readonly marker: bigint;
  readonly since: bigint | null;
  readonly instance: Instance;
  readonly signal: AbortSignal;
}

async function findPosition(
  { kafka, name, logger }: SessionOptions,
  { marker, since, instance, signal }: FindOptions,
): Promise<PositionsFound> {
  const found = await readPositions(kafka, { topic: positionsTopic(name), marker, since, signal, logger });
  if (found.instances.some((other) => isYounger(other, instance))) throw fenced(name);
  return found;
}

/** Both producers of a name decide by the same rule, so that exactly one of them stops. */
function isYounger(a: Instance, b: Instance): boolean {
  return a.startedAtMs === b.startedAtMs ? a.id > b.id : a.startedAtMs > b.startedAtMs;
}

function positionRecord(name: string, position: Position): TopicRecord {
  return {
    topic: positionsTopic(name),
    partition: 0,
    key: Buffer.from(POSITION_KEY),
    value: Buffer.from(encodePosition(position)),
    timestampMs: Date.now(),
  };
}

/** The records go to kafkajs as its messages: our encoder reads their `timestampMs`. */
function toRequest(records: readonly TopicRecord[]): ProducerBatch {
  const topicMessages = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, messages]) => ({
    topic,
    messages: groupedByPartition(messages),
  }));
  return { compression: Compression.ZSTD, topicMessages };
}

function partitionOfMessage({ message }: { message: Message }): number {
  return message.partition ?? 0;
}

function fenced(name: string): HeadraceError {
  return new HeadraceError("FENCED", {
    message: `A second producer of the pipeline ${JSON.stringify(name)} has started and taken over.`,
  });
}

function batchRefused(cause: unknown): HeadraceError {
  return new HeadraceError("KAFKA_BATCH_REFUSED", { message: "Kafka refused records as too large." }, cause);
}

function positionWentBack(): HeadraceError {
  return new HeadraceError("POSITION_WENT_BACK", { message: "The source returned a position before the stored one." });
}
