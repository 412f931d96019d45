import kafkajs from "kafkajs";
import type { CompressionTypes, Kafka, Message, Producer, TopicMessages, Transaction } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { isTooLarge, producerError } from "../../kafka/errors.ts";
import { groupedByPartition, replaceProduceEncoder } from "../../kafka/wire/produce-request.ts";
import { zstdCodec } from "../../kafka/wire/zstd.ts";
import type { ChangeEvent, Position, Version } from "../../schemas/change-event.ts";
import { encodePosition, MARKER_KEY, POSITION_KEY } from "../../schemas/position.ts";
import { positionsTopic, transactionalId } from "../../schemas/topics.ts";
import type { OpenSession, Session } from "../ports.ts";
import type { BatchLimits } from "../records/batch-limits.ts";
import type { TopicRecord } from "../records/batch-records.ts";
import { readPositions } from "./positions.ts";
import type { Instance, PositionsFound } from "./positions.ts";
import { findDeleted } from "./topics.ts";

/** Makes the records of events; whatever can fail for a reason of their own fails here, before a transaction. */
export type MakeRecords = (events: readonly ChangeEvent[]) => Promise<readonly TopicRecord[]>;

export interface SessionOptions {
  readonly kafka: Kafka;
  /** The pipeline's name. */
  readonly name: string;
  readonly makeRecords: MakeRecords;
  readonly limits: BatchLimits;
  /** The `max.message.bytes` that the collections' topics have now. */
  readonly messageLimits: () => Promise<ReadonlyMap<string, number>>;
  /** This process. */
  readonly instance: Instance;
}

/**
 * Consecutive transactions wait for each other's end, one in 25 at 200 updates a second: with first waits of 5 ms the p95
 * of the latency is 17 ms, with these 13.
 */
const RETRY = { initialRetryTime: 1, multiplier: 1.5, maxRetryTime: 1_000, retries: 34 };

// kafkajs has some of its exports only where Node does not see them by name.
const { CompressionCodecs, CompressionTypes: Compression } = kafkajs;
CompressionCodecs[Compression.ZSTD] = () => zstdCodec;
replaceProduceEncoder();

/**
 * Opens the sessions of one process, one after the other. Each has a kafkajs producer of its own: after a
 * transaction that has not ended in an acknowledged commit, kafkajs's sequence numbers are wrong, and the broker
 * would take the next batch for a duplicate and drop it.
 * @throws HeadraceError FENCED (fatal) where a younger process produces under the same name
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
      return new KafkaSession(producer, options, found.position);
    } catch (error) {
      await producer.disconnect();
      signal.throwIfAborted();
      throw await findDeleted(options.kafka, [positionsTopic(options.name)], producerError(error, "opening a session"));
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

  constructor(producer: Producer, options: SessionOptions, position: Position | null) {
    this.#producer = producer;
    this.#options = options;
    this.position = position;
    this.#clusterTime = position?.clusterTime ?? 0n;
  }

  async publish(events: readonly ChangeEvent[], position: Position): Promise<void> {
    if (this.#hasEnded) throw new Error("the session has ended");
    if (position.clusterTime < this.#clusterTime) throw positionWentBack();
    this.#hasEnded = true;
    const { makeRecords, name, limits } = this.#options;
    const records = [...(await makeRecords(events)), positionRecord(name, position)];
    try {
      this.#transaction = await this.#producer.transaction();
      for (const request of limits.requests(records)) await this.#send(this.#transaction, request);
      await this.#transaction.commit();
    } catch (error) {
      const topics = [...new Set(records.map(({ topic }) => topic))];
      throw await findDeleted(this.#options.kafka, topics, producerError(error, "publishing"));
    }
    this.#transaction = undefined;
    this.#hasEnded = false;
    this.#clusterTime = position.clusterTime;
    this.#published = position;
  }

  async #send(transaction: Transaction, request: readonly TopicRecord[]): Promise<void> {
    try {
      await transaction.sendBatch(toRequest(request));
    } catch (error) {
      const { limits, messageLimits } = this.#options;
      throw isTooLarge(error) && limits.refused(request, await messageLimits()) ? batchRefused(error) : error;
    }
  }

  /** Kafka acknowledges a commit before readers see it, but begins a transaction only once the one before is seen. */
  async close(): Promise<void> {
    try {
      if (!this.#hasEnded && this.#published !== null) await this.publish([], this.#published);
    } finally {
      await this.#end();
    }
  }

  async #end(): Promise<void> {
    this.#hasEnded = true;
    try {
      // Readers wait for a transaction that is left open; the broker aborts it only after a minute.
      if (this.#transaction?.isActive() === true) await this.#transaction.abort();
    } catch {
      // The next session, or the broker, aborts it.
    } finally {
      await this.#producer.disconnect();
    }
  }
}

function createProducer({ kafka, name }: SessionOptions): Producer {
  return kafka.producer({
    idempotent: true,
    transactionalId: transactionalId(name),
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    retry: RETRY,
    // The records say their partition.
    createPartitioner: () => partitionOfMessage,
  });
}

/** Beginning the transaction is what fences other producers of the name. Gives the marker's offset. */
async function commitMarker(producer: Producer, topic: string, instance: Instance): Promise<bigint> {
  const transaction = await producer.transaction();
  const marker = { key: MARKER_KEY, value: JSON.stringify(instance), partition: 0 };
  const [sent] = await transaction.send({ topic, messages: [marker] });
  await transaction.commit();
  if (sent?.baseOffset === undefined) throw new Error("the broker did not say the marker's offset");
  return BigInt(sent.baseOffset);
}

interface FindOptions {
  readonly marker: bigint;
  readonly since: bigint | null;
  readonly instance: Instance;
  readonly signal: AbortSignal;
}

async function findPosition(
  { kafka, name }: SessionOptions,
  { marker, since, instance, signal }: FindOptions,
): Promise<PositionsFound> {
  const topic = positionsTopic(name);
  const groupId = `${transactionalId(name)}.positions.${instance.id}`;
  const found = await readPositions(kafka, { topic, groupId, marker, since, signal });
  if (found.instances.some((other) => isYounger(other, instance))) throw fenced(name);
  return found;
}

/** One rule for both sides of a quarrel, so that exactly one goes on. */
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

function toRequest(records: readonly TopicRecord[]): { compression: CompressionTypes; topicMessages: TopicMessages[] } {
  const topicMessages = [...Map.groupBy(records, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
    topic,
    messages: groupedByPartition(ofTopic.map(toMessage)),
  }));
  return { compression: Compression.ZSTD, topicMessages };
}

function toMessage({ partition, key, value, headers, timestampMs }: TopicRecord): Message {
  const message = { partition, key, value, timestamp: String(timestampMs) };
  return headers === undefined ? message : { ...message, headers };
}

function partitionOfMessage({ message }: { message: Message }): number {
  return message.partition ?? 0;
}

function fenced(name: string): HeadraceError {
  return new HeadraceError("FENCED", {
    message: `A second producer of the pipeline ${JSON.stringify(name)} has been started and has taken over.`,
  });
}

function batchRefused(cause: unknown): HeadraceError {
  return new HeadraceError("KAFKA_BATCH_REFUSED", { message: "Kafka refused records as too large." }, cause);
}

function positionWentBack(): HeadraceError {
  return new HeadraceError("POSITION_WENT_BACK", {
    message: "The source gave a position before one that is stored already.",
  });
}
