import type { Admin, ITopicMetadata, Kafka } from "kafkajs";
import type { Config } from "../../config/config-schema.ts";
import { HeadraceError } from "../../errors/error.ts";
import { withAdmin } from "../../kafka/admin.ts";
import { answered } from "../../kafka/errors.ts";
import type { Logger } from "../../runtime/logger.ts";
import { checkTopicNames, topicOf } from "../../schemas/topics.ts";
import { kafkaClient } from "../connections.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";

/**
 * Checks that the brokers have, or can create, the topics of the config. Only reads.
 * @param collections the collections to replicate
 */
export async function* checkKafka(
  config: Config,
  collections: readonly string[],
  logger: Logger,
): AsyncGenerator<CheckResult> {
  const topics = collections.map((collection) => topicOf(config.name, config.mongodb.database, collection));
  let client: Kafka | undefined;
  const reachable = await runCheck("kafka", "is reachable", async () => {
    client = await kafkaClient(config, logger, 2);
    await withAdmin(client, "connecting", () => Promise.resolve());
  });
  yield reachable;
  if (client === undefined || reachable.problem !== null) return;
  const kafka = client;
  yield await runCheck("kafka", "the collections' topic names do not collide", async () =>
    checkTopicNames(config.name, config.mongodb.database, collections),
  );
  yield await runCheck("kafka", "has enough brokers for the replication factor", () =>
    withAdmin(kafka, "describing the cluster", (admin) => checkBrokers(admin, config)),
  );
  yield await runCheck("kafka", "has no topic with the wrong number of partitions", () =>
    withAdmin(kafka, "describing the topics", (admin) => checkPartitions(admin, config, topics)),
  );
}

async function checkBrokers(admin: Admin, { kafka: { replicationFactor } }: Config): Promise<void> {
  const { brokers } = await answered(admin.describeCluster());
  if (brokers.length >= replicationFactor) return;
  throw new HeadraceError("TOO_FEW_BROKERS", {
    message: `kafka.replicationFactor is ${replicationFactor}, but the number of brokers is ${brokers.length}.`,
  });
}

async function checkPartitions(admin: Admin, { kafka }: Config, topics: readonly string[]): Promise<void> {
  const existing = new Set(await answered(admin.listTopics()));
  const known = topics.filter((topic) => existing.has(topic));
  if (known.length === 0) return;
  const { topics: metadata } = await answered(admin.fetchTopicMetadata({ topics: known }));
  const others = metadata.filter(({ partitions }) => partitions.length !== kafka.partitions);
  if (others.length > 0) throw otherPartitions(others, kafka.partitions);
}

function otherPartitions(others: readonly ITopicMetadata[], wanted: number): HeadraceError {
  const counts = others.map(({ name, partitions }) => `${name} has ${partitions.length}`);
  return new HeadraceError("TOPIC_PARTITIONS", {
    message: `kafka.partitions is ${wanted}, but ${counts.join(", ")}.`,
    remedy:
      "Set kafka.partitions to the number that the topics have. With another number, keys would move to other partitions.",
  });
}
