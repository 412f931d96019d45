import type { Admin, ITopicConfig, Kafka } from "kafkajs";
import { HeadraceError, errorCode } from "../../errors/error.ts";
import { withAdmin } from "../../kafka/admin.ts";
import { readTopicConfigs, setTopicConfig } from "../../kafka/topic-configs.ts";
import type { TopicConfigs } from "../../kafka/topic-configs.ts";
import { fetchTopicIds } from "../../kafka/topic-ids.ts";
import { counted } from "../../runtime/counted.ts";
import type { Logger } from "../../runtime/logger.ts";
import { checkTopicNames, deadLetterTopic, positionsTopic, signalsTopic, topicOf } from "../../schemas/topics.ts";
import type { CollectionTopic, TopicCatalog } from "../ports.ts";
import { BatchLimits } from "../records/batch-limits.ts";
import { readSignals } from "./losses.ts";
import type { SignalsNow } from "./mismatches.ts";
import {
  RETENTION,
  collectionTopic,
  internalTopics,
  settingsRemedy,
  wrongSettings,
  wrongTopicSettings,
} from "./topic-settings.ts";
import type { TopicSettings, WantedTopic, WrongSetting } from "./topic-settings.ts";

export interface KafkaTopicsOptions extends TopicSettings {
  readonly kafka: Kafka;
  /** The pipeline's name. */
  readonly name: string;
  readonly database: string;
  /** For remedies, `host:port` each. */
  readonly brokers: readonly string[];
  readonly logger: Logger;
}

/** Creates the pipeline's topics and checks those that exist. */
export class KafkaTopics implements TopicCatalog {
  readonly #options: KafkaTopicsOptions;
  readonly #known = new Map<string, CollectionTopic>();
  readonly #created = new Set<string>();
  deadLetterTopicId: string | null = null;
  /** Of the collections' topics. */
  readonly limits = new BatchLimits();

  constructor(options: KafkaTopicsOptions) {
    this.#options = options;
  }

  /** Creates the topics that every pipeline has, where they are missing. @throws as `prepareInternal` */
  async createInternal(): Promise<void> {
    await this.#create(internalTopics(this.#options.name, this.#options));
  }

  /** The signals topic as it is now; it is created if it is missing. @throws HeadraceError */
  async signals(): Promise<SignalsNow> {
    const { kafka, name } = this.#options;
    const found = await readSignals(kafka, name);
    if (found !== null) return found;
    await this.createInternal();
    return (await readSignals(kafka, name)) ?? { topicId: null, low: 0n, high: 0n };
  }

  /**
   * Also gives them the retention that the config says. A pipeline that has run may have lost its signals topic: then it is
   * left to the session, which knows the position, to refuse or to create it.
   * @throws HeadraceError TOPIC_PARTITIONS, TOPIC_SETTINGS, TOPIC_NOT_CREATED or Kafka's
   */
  async prepareInternal(): Promise<void> {
    const { kafka, name } = this.#options;
    const wanted = internalTopics(name, this.#options);
    const existing = await fetchTopicIds(
      kafka,
      wanted.map(({ topic }) => topic),
    );
    const ofSignals = signalsTopic(name);
    const mayBeLost = existing.has(positionsTopic(name)) && !existing.has(ofSignals);
    await this.#prepare(mayBeLost ? wanted.filter(({ topic }) => topic !== ofSignals) : wanted);
    const topic = deadLetterTopic(name);
    this.deadLetterTopicId = (await fetchTopicIds(kafka, [topic])).get(topic) ?? null;
  }

  /** Creates and checks the topics of collections. @throws HeadraceError as `prepareInternal`, or NAME_COLLISION */
  async prepare(collections: readonly string[]): Promise<void> {
    const { name, database, partitions } = this.#options;
    const wanted = collections.filter((collection) => !this.#known.has(collection));
    if (wanted.length === 0) return;
    checkTopicNames(name, database, [...this.#known.keys(), ...wanted]);
    const topics = wanted.map((collection) => topicOf(name, database, collection));
    const configs = await this.#prepare(topics.map((topic) => collectionTopic(topic, this.#options)));
    const ids = await fetchTopicIds(this.#options.kafka, topics);
    for (const [index, collection] of wanted.entries()) {
      const topic = topics[index] ?? "";
      this.#known.set(collection, {
        topic,
        partitions,
        topicId: ids.get(topic) ?? null,
        isNew: this.#created.has(topic),
      });
      this.limits.set(topic, limitIn(configs, topic));
    }
  }

  /** The topics that were created or found, by collection. */
  get known(): ReadonlyMap<string, CollectionTopic> {
    return this.#known;
  }

  /** Makes the next `prepare` look at the topics again, and create those that are missing. */
  forget(collections: readonly string[]): void {
    for (const collection of collections) this.#known.delete(collection);
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
    return await withAdmin(this.#options.kafka, "reading the topics' limits", async (admin) => {
      const configs = await readTopicConfigs(admin, topics, [MESSAGE_LIMIT]);
      return new Map(topics.map((topic) => [topic, limitIn(configs, topic)]));
    });
  }

  async #prepare(wanted: readonly WantedTopic[]): Promise<TopicConfigs> {
    const configs = await this.#ensure(wanted);
    for (const wrong of wanted.flatMap((each) => wrongSettings(each, configsOf(configs, each.topic)))) {
      if (wrong.name === RETENTION) await this.#setRetention(wrong);
    }
    return configs;
  }

  /** Creates the missing ones. @returns the settings of each topic, which an administrator may have changed */
  async #ensure(wanted: readonly WantedTopic[]): Promise<TopicConfigs> {
    const { kafka, brokers } = this.#options;
    await this.#create(wanted);
    return await withAdmin(kafka, "looking at the topics' settings", async (admin) => {
      await checkPartitions(admin, wanted);
      const configs = await readWantedConfigs(admin, wanted);
      refuseHarmful(
        wanted.flatMap((each) => wrongSettings(each, configsOf(configs, each.topic))),
        brokers,
      );
      return configs;
    });
  }

  async #create(wanted: readonly WantedTopic[]): Promise<void> {
    await withAdmin(this.#options.kafka, "creating the topics", async (admin) => {
      const existing = new Set(await admin.listTopics());
      const missing = wanted.filter(({ topic }) => !existing.has(topic));
      await createTopics(admin, missing, this.#options);
      for (const { topic } of missing) this.#created.add(topic);
    });
  }

  async #setRetention({ topic, name, found, wanted }: WrongSetting): Promise<void> {
    const { kafka, brokers, logger } = this.#options;
    try {
      await setTopicConfig(kafka, topic, new Map([[name, wanted]]));
      logger.info({ topic, from: found, to: wanted }, `${name} of the topic is set to what the config says`);
    } catch (err) {
      if (errorCode(err) !== "KAFKA_FORBIDDEN") throw err;
      const remedy = settingsRemedy([{ topic, name, wanted }], brokers);
      logger.warn({ err, topic, found, wanted }, `this user may not set ${name} of the topic. ${remedy}`);
    }
  }
}

/** The settings that the table names, of those of the topics that exist. */
export function readWantedConfigs(admin: Admin, wanted: readonly WantedTopic[]): Promise<TopicConfigs> {
  const names = wanted.flatMap(({ settings }) => settings.map(({ name }) => name));
  return readTopicConfigs(
    admin,
    wanted.map(({ topic }) => topic),
    [...new Set(names)],
  );
}

export function configsOf(configs: TopicConfigs, topic: string): ReadonlyMap<string, string> {
  return configs.get(topic) ?? new Map();
}

const MESSAGE_LIMIT = "max.message.bytes";

function limitIn(configs: TopicConfigs, topic: string): number {
  return Number(configsOf(configs, topic).get(MESSAGE_LIMIT) ?? 0);
}

/** @throws HeadraceError TOPIC_SETTINGS if records would be lost or could not be read */
function refuseHarmful(wrong: readonly WrongSetting[], brokers: readonly string[]): void {
  const harmful = wrong.filter(({ isFatal }) => isFatal);
  if (harmful.length > 0) throw wrongTopicSettings(harmful, brokers);
}

function definitionOf({ topic, partitions, settings }: WantedTopic, replicationFactor: number): ITopicConfig {
  return {
    topic,
    numPartitions: partitions,
    replicationFactor,
    configEntries: settings.map(({ name, value }) => ({ name, value })),
  };
}

export interface CreateOptions extends Pick<TopicSettings, "replicationFactor"> {
  /** Only finds out whether they could be created. */
  readonly validateOnly?: boolean;
}

/** @throws HeadraceError TOO_FEW_BROKERS, KAFKA_FORBIDDEN or TOPIC_NOT_CREATED, or what kafkajs throws */
export async function createTopics(
  admin: Admin,
  topics: readonly WantedTopic[],
  { replicationFactor, validateOnly = false }: CreateOptions,
): Promise<void> {
  if (topics.length === 0) return;
  const definitions = topics.map((each) => definitionOf(each, replicationFactor));
  try {
    await admin.createTopics({ topics: definitions, validateOnly, waitForLeaders: !validateOnly });
  } catch (error) {
    const { errors = [error] } = error as { errors?: readonly unknown[] };
    const failures = errors as readonly { readonly type?: string; readonly topic?: string }[];
    // Another process may have created a topic in between.
    const others = failures.filter(({ type }) => type !== "TOPIC_ALREADY_EXISTS");
    const [first] = others;
    if (first === undefined) return;
    if (first.topic === undefined) throw error;
    throw notCreated({ topic: first.topic, type: first.type ?? "an unknown error", replicationFactor }, error);
  }
}

/** @throws HeadraceError TOPIC_PARTITIONS */
export async function checkPartitions(admin: Admin, wanted: readonly WantedTopic[]): Promise<void> {
  if (wanted.length === 0) return;
  const { topics } = await admin.fetchTopicMetadata({ topics: wanted.map(({ topic }) => topic) });
  const found = new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
  const others = wanted.filter(({ topic, partitions }) => found.get(topic) !== partitions);
  if (others.length === 0) return;
  const texts = others.map(
    ({ topic, partitions }) => `${topic} has ${counted(found.get(topic) ?? 0, "partition")}, not ${partitions}`,
  );
  throw new HeadraceError("TOPIC_PARTITIONS", {
    message: `Topics have the wrong number of partitions: ${texts.join("; ")}.`,
  });
}

function notCreated(
  { topic, type, replicationFactor }: { topic: string; type: string; replicationFactor: number },
  cause: unknown,
): HeadraceError {
  if (type === "INVALID_REPLICATION_FACTOR") {
    const message = `kafka.replicationFactor is ${replicationFactor}, but Kafka has too few brokers to create the topic ${topic} with it.`;
    return new HeadraceError("TOO_FEW_BROKERS", { message }, cause);
  }
  if (type === "TOPIC_AUTHORIZATION_FAILED" || type === "CLUSTER_AUTHORIZATION_FAILED") {
    const message = `The user may not create the topic ${topic}: it lacks the right Create on it.`;
    const remedy = `Grant the producer's user the right Create on topics with the prefix ${prefixOf(topic)}, or create the pipeline's topics yourself: docs/rights.md shows both.`;
    return new HeadraceError("KAFKA_FORBIDDEN", { message, remedy }, cause);
  }
  return new HeadraceError(
    "TOPIC_NOT_CREATED",
    { message: `Headrace could not create the topic ${topic}: ${type}.` },
    cause,
  );
}

/** The pipeline's prefix. Its name contains no dot. */
function prefixOf(topic: string): string {
  return topic.slice(0, topic.indexOf(".") + 1);
}
