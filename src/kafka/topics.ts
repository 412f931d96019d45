import type { Kafka } from "kafkajs";
import { errorCode, HeadraceError } from "../errors/error.ts";
import { retry } from "../runtime/retry.ts";
import { partitionKey } from "../schemas/partitions.ts";
import type { LogBounds, PartitionOffset, TopicPartition } from "../schemas/partitions.ts";
import { kafkaError } from "./errors.ts";
import { kafkajsCluster, protocolError } from "./wire/kafkajs-internals.ts";
import type { KafkajsBroker, KafkajsCluster } from "./wire/kafkajs-internals.ts";
import { METADATA_KEY, METADATA_VERSION, metadataExchange } from "./wire/metadata.ts";
import type { TopicsMetadata } from "./wire/metadata.ts";

/**
 * How long a question is asked again that failed at a lost broker: Kafka counts it as alive for 9 s
 * (`broker.session.timeout.ms`), and names another leader or coordinator only then.
 */
export const FAILOVER_PATIENCE = { maxElapsedMs: 15_000, maxDelayMs: 1_000 } as const;
/** A broker that has just started may not know every topic. */
const MISSING_PATIENCE_MS = 5_000;
/** How long connections stay open after a question. Whoever asks regularly asks more often. */
const KEPT_MS = 15_000;

/**
 * Asks about topics, over connections that stay open while questions come. kafkajs's admin client cannot be kept: it
 * requests the metadata of every topic that it was ever used for, and fails once one of them is deleted.
 */
class TopicQuestions {
  readonly #kafka: Kafka;
  #cluster: KafkajsCluster<never> | undefined;
  #asking = 0;
  #closing: NodeJS.Timeout | undefined;

  constructor(kafka: Kafka) {
    this.#kafka = kafka;
  }

  /** @throws HeadraceError */
  async ask<T>(doing: string, question: (cluster: KafkajsCluster<never>) => Promise<T>): Promise<T> {
    clearTimeout(this.#closing);
    connected.add(this);
    this.#asking++;
    try {
      return await retry(() => this.#askOnce(doing, question), { ...FAILOVER_PATIENCE, maxElapsedMs: patienceMs });
    } finally {
      this.#asking--;
      if (this.#asking === 0) this.#closing = setTimeout(() => void this.close(), KEPT_MS);
    }
  }

  async close(): Promise<void> {
    connected.delete(this);
    clearTimeout(this.#closing);
    const cluster = this.#cluster;
    this.#cluster = undefined;
    await cluster?.disconnect();
  }

  /** A question that fails drops the connections, under the other ones that are on their way: those are asked again. */
  async #askOnce<T>(doing: string, question: (cluster: KafkajsCluster<never>) => Promise<T>): Promise<T> {
    const cluster = (this.#cluster ??= kafkajsCluster<never>(this.#kafka));
    try {
      await cluster.connect();
      return await question(cluster);
    } catch (error) {
      if (this.#cluster !== cluster) throw connectionDropped(doing, error);
      this.#cluster = undefined;
      throw kafkaError(error, doing);
    } finally {
      if (this.#cluster !== cluster) await cluster.disconnect();
    }
  }
}

function patienceMs(error: unknown): number {
  return errorCode(error) === "KAFKA_TOPIC_MISSING" ? MISSING_PATIENCE_MS : FAILOVER_PATIENCE.maxElapsedMs;
}

/** kafkajs's errors say anything then, also a TypeError. */
function connectionDropped(doing: string, cause: unknown): HeadraceError {
  return new HeadraceError("KAFKA_UNAVAILABLE", { message: `Kafka's connection was dropped at ${doing}.` }, cause);
}

const questions = new WeakMap<Kafka, TopicQuestions>();
/** Those that may have connections. */
const connected = new Set<TopicQuestions>();

/** Closes the connections that are kept for further questions, so that the process can end. Never rejects. */
export async function closeKeptConnections(): Promise<void> {
  await Promise.allSettled([...connected].map((each) => each.close()));
}

function ask<T>(kafka: Kafka, doing: string, question: (cluster: KafkajsCluster<never>) => Promise<T>): Promise<T> {
  const known = questions.get(kafka) ?? new TopicQuestions(kafka);
  questions.set(kafka, known);
  return known.ask(doing, question);
}

/**
 * What a broker tells of those of the topics that exist.
 * @param topics null: all that the user may see
 * @throws HeadraceError
 */
export function describeTopics(kafka: Kafka, topics: readonly string[] | null): Promise<TopicsMetadata> {
  return ask(kafka, "reading the topics' metadata", (cluster) => describe(cluster, topics));
}

/** @returns the names that `wanted` accepts, sorted @throws HeadraceError */
export async function listTopics(kafka: Kafka, wanted: (topic: string) => boolean): Promise<string[]> {
  return [...(await describeTopics(kafka, null)).keys()].filter(wanted).toSorted();
}

async function describe(cluster: KafkajsCluster<never>, topics: readonly string[] | null): Promise<TopicsMetadata> {
  if (topics?.length === 0) return new Map();
  const broker = await cluster.brokerPool.findConnectedBroker();
  if ((broker.versions?.[METADATA_KEY]?.maxVersion ?? 0) >= METADATA_VERSION)
    return await broker.connectionPool.send(metadataExchange(topics));
  const { topicMetadata } = await broker.metadata([]);
  const found = topicMetadata.filter(({ topic }) => topics === null || topics.includes(topic));
  return new Map(
    found.map(({ topic, partitionMetadata }) => [
      topic,
      {
        id: null,
        errorCode: 0,
        leaders: new Map(partitionMetadata.map(({ partitionId, leader }) => [partitionId, leader])),
      },
    ]),
  );
}

export type PartitionBounds = TopicPartition & LogBounds;

/**
 * The bounds of all partitions of the topics, by `partitionKey`. `high` is the end for read_committed readers, the last
 * stable offset.
 * @throws HeadraceError, KAFKA_TOPIC_MISSING among them
 */
export function fetchLogBounds(kafka: Kafka, topics: readonly string[]): Promise<ReadonlyMap<string, PartitionBounds>> {
  return ask(kafka, `reading the offsets of ${[...new Set(topics)].join(", ")}`, async (cluster) => {
    const found = await leadersOf(cluster, topics);
    const starts = await askLeaders(cluster, found, START);
    const ends = await askLeaders(cluster, found, END);
    const bounds = new Map<string, PartitionBounds>();
    for (const [key, { topic, partition, offset: low }] of starts)
      bounds.set(key, { topic, partition, low, high: ends.get(key)?.offset ?? low });
    return bounds;
  });
}

/**
 * The current ends of the topics for read_committed readers, for a run that stops there. Kafka acknowledges a commit
 * before it writes the markers, so the last transaction is surely included only after its producer has begun another one.
 * @throws HeadraceError, KAFKA_TOPIC_MISSING among them
 */
export function fetchEndOffsets(kafka: Kafka, topics: readonly string[]): Promise<readonly PartitionOffset[]> {
  if (topics.length === 0) return Promise.resolve([]);
  return ask(kafka, `reading the ends of ${[...new Set(topics)].join(", ")}`, async (cluster) => [
    ...(await askLeaders(cluster, await leadersOf(cluster, topics), END)).values(),
  ]);
}

/** @returns the number of partitions that the topic has now @throws HeadraceError */
export function countPartitions(kafka: Kafka, topic: string): Promise<number> {
  return ask(kafka, "counting the topic's partitions", async (cluster) => (await leadersOf(cluster, [topic])).length);
}

interface LedPartition extends TopicPartition {
  readonly leader: number;
}

/** In the order of the topics and their partitions. @throws as kafkajs does for a topic that is not there or not seen */
async function leadersOf(cluster: KafkajsCluster<never>, topics: readonly string[]): Promise<readonly LedPartition[]> {
  const described = await describe(cluster, [...new Set(topics)]);
  return [...new Set(topics)].flatMap((topic) => {
    const { errorCode, leaders } = described.get(topic) ?? { errorCode: UNKNOWN_TOPIC, leaders: [] };
    if (errorCode !== 0) throw protocolError(errorCode);
    return [...leaders].toSorted(([a], [b]) => a - b).map(([partition, leader]) => ({ topic, partition, leader }));
  });
}

/** Timestamps of Kafka's ListOffsets requests: see `KafkajsBroker`. */
const START = "-2";
const END = "-1";

/** Asks each leader once, in the order of the partitions. */
async function askLeaders(
  cluster: KafkajsCluster<never>,
  partitions: readonly LedPartition[],
  timestamp: typeof START | typeof END,
): Promise<ReadonlyMap<string, PartitionOffset>> {
  const answers = await Promise.all(
    [...Map.groupBy(partitions, ({ leader }) => leader)].map(async ([leader, led]) => {
      const byTopic = [...Map.groupBy(led, ({ topic }) => topic)].map(([topic, its]) => ({
        topic,
        partitions: its.map(({ partition }) => ({ partition, timestamp })),
      }));
      const broker = await leaderOf(cluster, leader);
      return await broker.listOffsets({ replicaId: -1, isolationLevel: 1, topics: byTopic });
    }),
  );
  const offsets = new Map<string, PartitionOffset>();
  for (const { topic, partitions: its } of answers.flatMap(({ responses }) => responses))
    for (const { partition, offset } of its)
      offsets.set(partitionKey({ topic, partition }), { topic, partition, offset: BigInt(offset) });
  return new Map(
    partitions.map(partitionKey).flatMap((key) => {
      const found = offsets.get(key);
      return found === undefined ? [] : [[key, found] as const];
    }),
  );
}

/** The connection to a broker. kafkajs knows only the brokers of its last metadata. */
async function leaderOf(cluster: KafkajsCluster<never>, nodeId: number): Promise<KafkajsBroker<never>> {
  if (nodeId === NO_LEADER) throw protocolError(LEADER_NOT_AVAILABLE);
  if (cluster.brokerPool.brokers[nodeId] === undefined) await cluster.refreshMetadata();
  return await cluster.findBroker({ nodeId });
}

/** Kafka's id for no broker. */
const NO_LEADER = -1;
/** Errors of the protocol. */
const UNKNOWN_TOPIC = 3;
const LEADER_NOT_AVAILABLE = 5;
