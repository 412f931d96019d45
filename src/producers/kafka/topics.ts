import kafkajs from "kafkajs";
import type { Admin, ITopicConfig, Kafka } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { answered, kafkaError } from "../../kafka/errors.ts";
import { checkTopicNames, deadLetterTopic, positionsTopic, signalsTopic, topicOf } from "../../schemas/topics.ts";
import type { CollectionTopic, TopicCatalog } from "../ports.ts";
import { BatchLimits } from "../records/batch-limits.ts";

export interface TopicSettings {
  /** Of each collection's topic. */
  readonly partitions: number;
  readonly replicationFactor: number;
  /** -1: for ever. */
  readonly retentionMs: number;
}

export interface KafkaTopicsOptions extends TopicSettings {
  readonly kafka: Kafka;
  /** The pipeline's name. */
  readonly name: string;
  readonly database: string;
}

/** A document of 16 MB as JSON can be longer than as BSON. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
const HOUR_MS = 60 * 60 * 1_000;
const SIGNAL_RETENTION_MS = 30 * 24 * HOUR_MS;

/** Makes the pipeline's topics and looks at those that are there already. */
export class KafkaTopics implements TopicCatalog {
  readonly #options: KafkaTopicsOptions;
  readonly #known = new Map<string, CollectionTopic>();
  /** Of the collections' topics. */
  readonly limits = new BatchLimits();

  constructor(options: KafkaTopicsOptions) {
    this.#options = options;
  }

  /** Makes the topics that every pipeline has. @throws HeadraceError TOPIC_PARTITIONS, TOPIC_NOT_CREATED or Kafka's */
  async prepareInternal(): Promise<void> {
    const { name, retentionMs } = this.#options;
    await this.#ensure([
      this.#definition(positionsTopic(name), 1, {
        "cleanup.policy": "compact",
        // A reader looks for the last position at the end: old ones go soon, but not before a second producer is seen.
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
        // A signal waits for a producer that does not run, and is read again by one that goes on with it.
        "retention.ms": retentionMs === -1 ? -1 : Math.max(retentionMs, SIGNAL_RETENTION_MS),
        "max.message.bytes": MAX_MESSAGE_BYTES,
      }),
    ]);
  }

  /** @throws HeadraceError as `prepareInternal`; HeadraceError NAME_COLLISION */
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
    if (topic === undefined) throw new Error("a topic that was made is not known");
    return topic;
  }

  async refreshLimits(): Promise<void> {
    for (const [topic, bytes] of await this.messageLimits()) this.limits.set(topic, bytes);
  }

  /** The `max.message.bytes` that the collections' topics have now. @throws HeadraceError */
  async messageLimits(): Promise<ReadonlyMap<string, number>> {
    const topics = [...this.#known.values()].map(({ topic }) => topic);
    return await this.#asking("reading the topics' limits", (admin) => messageLimits(admin, topics));
  }

  #definition(topic: string, partitions: number, config: Readonly<Record<string, string | number>>): ITopicConfig {
    return {
      topic,
      numPartitions: partitions,
      replicationFactor: this.#options.replicationFactor,
      configEntries: Object.entries(config).map(([name, value]) => ({ name, value: String(value) })),
    };
  }

  /** Gives the `max.message.bytes` of each topic, as an operator may have changed it. */
  async #ensure(wanted: readonly ITopicConfig[]): Promise<ReadonlyMap<string, number>> {
    return await this.#asking("preparing the topics", async (admin) => {
      const existing = new Set(await answered(admin.listTopics()));
      const missing = wanted.filter(({ topic }) => !existing.has(topic));
      if (missing.length > 0) await createTopics(admin, missing);
      await checkPartitions(admin, wanted);
      const topics = wanted.map(({ topic }) => topic);
      return await messageLimits(admin, topics);
    });
  }

  async #asking<T>(doing: string, ask: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#options.kafka.admin({ retry: { initialRetryTime: 200, retries: 4 } });
    try {
      await admin.connect();
      return await ask(admin);
    } catch (error) {
      throw kafkaError(error, doing);
    } finally {
      await admin.disconnect();
    }
  }
}

async function createTopics(admin: Admin, topics: readonly ITopicConfig[]): Promise<void> {
  try {
    await admin.createTopics({ topics: [...topics], waitForLeaders: true });
  } catch (error) {
    const { errors = [error] } = error as { errors?: readonly unknown[] };
    const failures = errors as readonly { readonly type?: string; readonly topic?: string }[];
    // Another process may have been faster.
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
    message: `Topics have other partitions than they should: ${texts.join("; ")}.`,
  });
}

/** As an operator may have changed them. */
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
      message: `The topic ${topic} could not be created: ${why}.`,
    },
    cause,
  );
}

/** What kafkajs makes of a topic that is gone. */
const SUSPICIOUS: ReadonlySet<string> = new Set(["KAFKA_TOPIC_MISSING", "KAFKA_UNEXPECTED"]);

/**
 * Whether topics that existed are gone, after publishing to them has failed with `failure`. To make them anew would
 * hide that records which nobody has applied are gone with them.
 * @returns `failure`, or TOPIC_DELETED with it as cause
 */
export async function findDeleted(
  kafka: Kafka,
  topics: readonly string[],
  failure: HeadraceError,
): Promise<HeadraceError> {
  if (!SUSPICIOUS.has(failure.code)) return failure;
  const admin = kafka.admin({ retry: { initialRetryTime: 200, retries: 4 } });
  try {
    await admin.connect();
    const existing = new Set(await answered(admin.listTopics()));
    const missing = topics.filter((topic) => !existing.has(topic));
    return missing.length === 0 ? failure : deleted(missing, failure);
  } catch (error) {
    throw kafkaError(error, "looking for the topics");
  } finally {
    await admin.disconnect();
  }
}

function deleted(topics: readonly string[], cause: HeadraceError): HeadraceError {
  return new HeadraceError("TOPIC_DELETED", { message: `Kafka has no topic ${topics.join(", ")} any more.` }, cause);
}
