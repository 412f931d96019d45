import type { Admin, Kafka } from "kafkajs";
import type { Config } from "../../config/config-schema.ts";
import { withAdmin } from "../../kafka/admin.ts";
import {
  RETENTION,
  collectionTopic,
  describeSettings,
  internalTopics,
  settingsRemedy,
  wrongSettings,
  wrongTopicSettings,
} from "../../producers/kafka/topic-settings.ts";
import type { WantedTopic, WrongSetting } from "../../producers/kafka/topic-settings.ts";
import { checkPartitions, configsOf, createTopics, readWantedConfigs } from "../../producers/kafka/topics.ts";
import { topicOf } from "../../schemas/topics.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult, CheckWarning } from "./check-result.ts";

/** Checks the pipeline's topics: those that exist are as they should be, and the others can be created. Only reads. */
export async function* checkTopics(
  kafka: Kafka,
  config: Config,
  collections: readonly string[],
): AsyncGenerator<CheckResult> {
  const { name, mongodb } = config;
  const topics = [
    ...internalTopics(name, { ...config.kafka, deadLetterRetentionMs: config.deadLetters.retentionMs }),
    ...collections.map((collection) => collectionTopic(topicOf(name, mongodb.database, collection), config.kafka)),
  ];
  let existing: readonly WantedTopic[] = [];
  yield await runCheck("kafka", "has the pipeline's topics, or can create them", () =>
    withAdmin(kafka, "asking whether the topics can be created", async (admin) => {
      const found = new Set(await admin.listTopics());
      existing = topics.filter(({ topic }) => found.has(topic));
      const missing = topics.filter(({ topic }) => !found.has(topic));
      await createTopics(admin, missing, { ...config.kafka, validateOnly: true });
    }),
  );
  yield await runCheck("kafka", "has no topic with the wrong number of partitions", () =>
    withAdmin(kafka, "describing the topics", (admin) => checkPartitions(admin, existing)),
  );
  yield* checkSettings(kafka, config, existing);
}

/** One result if all settings are right, otherwise one for each topic. */
async function* checkSettings(
  kafka: Kafka,
  { kafka: { brokers } }: Config,
  existing: readonly WantedTopic[],
): AsyncGenerator<CheckResult> {
  let wrong: readonly WrongSetting[] = [];
  const looked = await runCheck("kafka", "has no topic with wrong settings", async () => {
    wrong = await withAdmin(kafka, "reading the topics' settings", (admin) => findWrongSettings(admin, existing));
  });
  if (wrong.length === 0) yield looked;
  for (const [topic, ofTopic] of Map.groupBy(wrong, (each) => each.topic)) {
    yield await runCheck("kafka", `has the topic ${topic} with the right settings`, async () => {
      if (ofTopic.some(({ isFatal }) => isFatal)) throw wrongTopicSettings(ofTopic, brokers);
      return warningAbout(ofTopic, brokers);
    });
  }
}

async function findWrongSettings(admin: Admin, existing: readonly WantedTopic[]): Promise<WrongSetting[]> {
  const configs = await readWantedConfigs(admin, existing);
  return existing.flatMap((each) => wrongSettings(each, configsOf(configs, each.topic)));
}

function warningAbout(wrong: readonly WrongSetting[], brokers: readonly string[]): CheckWarning {
  const command = settingsRemedy(wrong, brokers);
  const isSetAtStart = wrong.every(({ name }) => name === RETENTION);
  return {
    message: describeSettings(wrong),
    remedy: isSetAtStart
      ? `The producer sets it at its next start, if its user has the right AlterConfigs on the topic. Otherwise set it by hand. ${command}`
      : command,
  };
}
