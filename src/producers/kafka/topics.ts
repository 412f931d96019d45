import kafkajs from "kafkajs";
import type { Admin, ITopicConfig, Kafka } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { listTopics, withAdmin } from "../../kafka/admin.ts";
import { answered } from "../../kafka/errors.ts";
import { checkTopicNames, deadLetterTopic, positionsTopic, signalsTopic, topicOf } from "../../schemas/topics.ts";
import type { CollectionTopic, TopicCatalog } from "../ports.ts";
import { BatchLimits } from "../records/batch-limits.ts";

export interface TopicSettings {
  /** Of each collection's topic. */
  readonly partitions: number;
  readonly replicationFactor: number;
  /** -1: Kafka deletes nothing. */
  readonly retentionMs: number;
}

export interface KafkaTopicsOptions extends TopicSettings {
  readonly kafka: Kafka;
  /** The pipeline's name. */
  readonly name: string;
  readonly database: string;
}

/** A document of 16 MB in BSON can be longer as JSON. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
const HOUR_MS = 60 * 60 * 1_000;
const SIGNAL_RETENTION_MS = 30 * 24 * HOUR_MS;

/** Creates the pipeline's topics and checks those that exist. */
export class KafkaTopics implements TopicCatalog {
  readonly #options: KafkaTopicsOptions;
  readonly #known = new Map<string, CollectionTopic>();
  /** Of the collections' topics. */
  readonly limits = new BatchLimits();

  constructor(options: KafkaTopicsOptions) {
    this.#options = options;
  }

  /** Creates the topics that every pipeline has. @throws HeadraceError TOPIC_PARTITIONS, TOPIC_NOT_CREATED or Kafka's */
  async prepareInternal(): Promise<void> {
    const { name, retentionMs } = this.#options;
    await this.#ensure([
      this.#definition(positionsTopic(name), 1, {
        "cleanup.policy": "compact",
        // Readers need only the last position, and the markers of the last minute, which show a second producer.
        "segment.bytes": 16 * 1024 * 1024,
        "segment.ms": HOUR_MS,
        "min.cleanable.dirty.ratio": 0.1,
        "min.compaction.lag.ms": 60_000,
        "max.message.bytes": 8 * 1024 * 1024,
      }),
      this.#definition(deadLetterTopic(name), 1, {
        "retention.ms": retentionMs,
        "max.message.bytes": MAX_MESSAGE_BYTES,
      }),
      this.#definition(signalsTopic(name), 1, {
        // Signals wait while the producer is stopped, and a restarted producer reads the unfinished signal again.
        "retention.ms": retentionMs === -1 ? -1 : Math.max(retentionMs, SIGNAL_RETENTION_MS),
        "max.message.bytes": MAX_MESSAGE_BYTES,
      }),
    ]);
  }

  /** Creates and checks the topics of collections. @throws HeadraceError as `prepareInternal`, or NAME_COLLISION */
  async prepare(collections: readonly string[]): Promise<void> {
    const { name, database, partitions, retentionMs } = this.#options;
    const wanted = collections.filter((collection) => !this.#known.has(collection));
    if (wanted.length === 0) return;
    checkTopicNames(name, database, [...this.#known.keys(), ...wanted]);
    const config = { "retention.ms": retentionMs, "max.message.bytes": MAX_MESSAGE_BYTES };
    const topics = wanted.map((collection) => topicOf(name, database, collection));
    const limits = await this.#ensure(topics.map((topic) => this.#definition(topic, partitions, config)));
    for (const [index, collection] of wanted.entries()) {
      const topic = topics[index] ?? "";
      this.#known.set(collection, { topic, partitions });
      this.limits.set(topic, limits.get(topic) ?? 0);
    }
  }

  async topicOf(collection: string): Promise<CollectionTopic> {
    await this.prepare([collection]);
    const topic = this.#known.get(collection);
    if (topic === undefined) throw new Error(`the topic of ${collection} was prepared but is not known`);
    return topic;
  }

  async refreshLimits(): Promise<void> {
    for (const [topic, bytes] of await this.messageLimits()) this.limits.set(topic, bytes);
  }

  /** The `max.message.bytes` that the collections' topics have now. @throws HeadraceError */
  async messageLimits(): Promise<ReadonlyMap<string, number>> {
    const topics = [...this.#known.values()].map(({ topic }) => topic);
    return await withAdmin(this.#options.kafka, "reading the topics' limits", (admin) => messageLimits(admin, topics));
  }

  #definition(topic: string, partitions: number, config: Readonly<Record<string, string | number>>): ITopicConfig {
    return {
      topic,
      numPartitions: partitions,
      replicationFactor: this.#options.replicationFactor,
      configEntries: Object.entries(config).map(([name, value]) => ({ name, value: String(value) })),
    };
  }

  /** Creates the missing ones. @returns the `max.message.bytes` of each topic, which an operator may have changed */
  async #ensure(wanted: readonly ITopicConfig[]): Promise<ReadonlyMap<string, number>> {
    return await withAdmin(this.#options.kafka, "preparing the topics", async (admin) => {
      const existing = new Set(await answered(admin.listTopics()));
      const missing = wanted.filter(({ topic }) => !existing.has(topic));
      if (missing.length > 0) await createTopics(admin, missing);
      await checkPartitions(admin, wanted);
      const topics = wanted.map(({ topic }) => topic);
      return await messageLimits(admin, topics);
    });
  }
}

async function createTopics(admin: Admin, topics: readonly ITopicConfig[]): Promise<void> {
  try {
    await admin.createTopics({ topics: [...topics], waitForLeaders: true });
  } catch (error) {
    const { errors = [error] } = error as { errors?: readonly unknown[] };
    const failures = errors as readonly { readonly type?: string; readonly topic?: string }[];
    // Another process may have created a topic in between.
    const others = failures.filter(({ type }) => type !== "TOPIC_ALREADY_EXISTS");
    const [first] = others;
    if (first === undefined) return;
    if (first.topic === undefined) throw error;
    throw notCreated(first.topic, first.type ?? "an unknown error", error);
  }
}

async function checkPartitions(admin: Admin, wanted: readonly ITopicConfig[]): Promise<void> {
  const { topics } = await answered(admin.fetchTopicMetadata({ topics: wanted.map(({ topic }) => topic) }));
  const found = new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
  const others = wanted.filter(({ topic, numPartitions }) => found.get(topic) !== numPartitions);
  if (others.length === 0) return;
  const texts = others.map(
    ({ topic, numPartitions }) => `${topic} has ${found.get(topic) ?? 0} partitions, not ${numPartitions}`,
  );
  throw new HeadraceError("TOPIC_PARTITIONS", {
    message: `Topics have the wrong number of partitions: ${texts.join("; ")}.`,
  });
}

async function messageLimits(admin: Admin, topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: topics.map((name) => ({
      type: kafkajs.ConfigResourceTypes.TOPIC,
      name,
      configNames: ["max.message.bytes"],
    })),
  });
  return new Map(
    resources.map(({ resourceName, configEntries }) => [resourceName, Number(configEntries[0]?.configValue ?? 0)]),
  );
}

function notCreated(topic: string, why: string, cause: unknown): HeadraceError {
  return new HeadraceError(
    "TOPIC_NOT_CREATED",
    {
      message: `Headrace could not create the topic ${topic}: ${why}.`,
    },
    cause,
  );
}

/** kafkajs fails with one of these when a topic is gone. */
const SUSPICIOUS: ReadonlySet<string> = new Set(["KAFKA_TOPIC_MISSING", "KAFKA_UNEXPECTED"]);

/**
 * Finds out whether topics are gone that existed, after publishing to them has failed with `failure`. Headrace does not
 * create them again: that would hide the loss of their records that nobody has applied.
 * @returns `failure`, or TOPIC_DELETED with it as cause
 * @throws HeadraceError
 */
export async function findDeleted(
  kafka: Kafka,
  topics: readonly string[],
  failure: HeadraceError,
): Promise<HeadraceError> {
  if (!SUSPICIOUS.has(failure.code)) return failure;
  const existing = await listTopics(kafka, (topic) => topics.includes(topic));
  const missing = topics.filter((topic) => !existing.includes(topic));
  return missing.length === 0 ? failure : deleted(missing, failure);
}

function deleted(topics: readonly string[], cause: HeadraceError): HeadraceError {
  const message = `Kafka no longer has ${topics.length === 1 ? "the topic" : "the topics"} ${topics.join(", ")}.`;
  return new HeadraceError("TOPIC_DELETED", { message }, cause);
}
