import type { Kafka } from "kafkajs";
import type { Config } from "../../config/config-schema.ts";
import { withAdmin } from "../../kafka/admin.ts";
import type { Logger } from "../../runtime/logger.ts";
import { retry } from "../../runtime/retry.ts";
import { checkTopicNames, topicOf } from "../../schemas/topics.ts";
import { kafkaClient } from "../connections.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";
import { checkTopics } from "./check-topics.ts";
import { requireRights, visibleTopics } from "./kafka-rights.ts";
import type { KafkaRole } from "./kafka-rights.ts";

/** A Kafka that has just started, or has lost a broker, finds other coordinators within seconds. */
const COORDINATOR_PATIENCE = { maxElapsedMs: 20_000, maxDelayMs: 1_000 };

/**
 * Checks that this user has its rights, and that the brokers have, or can create, the topics of the config. Only reads.
 * @param collections the collections to replicate
 */
export async function* checkKafka(
  config: Config,
  { roles, collections }: { readonly roles: readonly KafkaRole[]; readonly collections: readonly string[] },
  logger: Logger,
): AsyncGenerator<CheckResult> {
  let client: Kafka | undefined;
  const reachable = await runCheck("kafka", "is reachable", async () => {
    client = await kafkaClient(config, logger, 2);
    await withAdmin(client, "connecting", () => Promise.resolve());
  });
  yield reachable;
  if (client === undefined || reachable.problem !== null) return;
  const kafka = client;
  const topicsOf = async (): Promise<readonly string[]> =>
    collections.length === 0
      ? await visibleTopics(kafka, config)
      : collections.map((collection) => topicOf(config.name, config.mongodb.database, collection));
  yield await runCheck("kafka", "the collections' topic names do not collide", async () =>
    checkTopicNames(config.name, config.mongodb.database, collections),
  );
  const allowed = await runCheck(
    "kafka",
    `allows the user what the ${roles.join(" and the ")} need${roles.length === 1 ? "s" : ""}`,
    async () =>
      retry(async () => requireRights(kafka, config, { roles, topics: await topicsOf() }), COORDINATOR_PATIENCE),
  );
  yield allowed;
  // Without a right these would fail, too, and tell less. A consumer creates no topics, and may not read their settings.
  if (allowed.problem === null && roles.includes("producer")) yield* checkTopics(kafka, config, collections);
}
