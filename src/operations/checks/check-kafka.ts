import type { Admin, ITopicMetadata } from "kafkajs";
import type { Config } from "../../config/config-schema.ts";
import { HeadraceError } from "../../errors/error.ts";
import { answered, kafkaError } from "../../kafka/errors.ts";
import type { Logger } from "../../runtime/logger.ts";
import { checkTopicNames, topicOf } from "../../schemas/topics.ts";
import { kafkaClient } from "../connections.ts";
import { look } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";

/**
 * Looks whether the topics are, or can be made, as the config says. Reads only.
 * @param collections those that are replicated.
 */
export async function* checkKafka(
  config: Config,
  collections: readonly string[],
  logger: Logger,
): AsyncGenerator<CheckResult> {
  const kafka = await kafkaClient(config, logger, 2);
  const admin = kafka.admin();
  const topics = collections.map((collection) => topicOf(config.name, config.mongodb.database, collection));
  try {
    const reachable = await look("kafka", "can be reached", () => asking("connecting", () => admin.connect()));
    yield reachable;
    if (reachable.problem !== null) return;
    yield await look("kafka", "can tell the topics of the collections from each other", async () =>
      checkTopicNames(config.name, config.mongodb.database, collections),
    );
    yield await look("kafka", "has enough brokers for the replication factor", () => checkBrokers(admin, config));
    yield await look("kafka", "has no topic with other partitions", () => checkPartitions(admin, config, topics));
  } finally {
    await admin.disconnect();
  }
}

async function checkBrokers(admin: Admin, { kafka: { replicationFactor } }: Config): Promise<void> {
  const { brokers } = await asking("describing the cluster", () => answered(admin.describeCluster()));
  if (brokers.length >= replicationFactor) return;
  throw new HeadraceError("TOO_FEW_BROKERS", {
    message: `Topics are to have ${replicationFactor} copies, but there are ${brokers.length} brokers.`,
  });
}

async function checkPartitions(admin: Admin, { kafka }: Config, topics: readonly string[]): Promise<void> {
  const existing = new Set(await asking("listing the topics", () => answered(admin.listTopics())));
  const known = topics.filter((topic) => existing.has(topic));
  if (known.length === 0) return;
  const { topics: metadata } = await asking("describing the topics", () =>
    answered(admin.fetchTopicMetadata({ topics: known })),
  );
  const others = metadata.filter(({ partitions }) => partitions.length !== kafka.partitions);
  if (others.length > 0) throw otherPartitions(others, kafka.partitions);
}

function otherPartitions(others: readonly ITopicMetadata[], wanted: number): HeadraceError {
  const counts = others.map(({ name, partitions }) => `${name} has ${partitions.length}`);
  return new HeadraceError("TOPIC_PARTITIONS", {
    message: `Topics are to have ${wanted} partitions, but ${counts.join(", ")}.`,
    remedy: "Set kafka.partitions to what the topics have: with another number, keys would move between partitions.",
  });
}

async function asking<T>(doing: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw kafkaError(error, doing);
  }
}
