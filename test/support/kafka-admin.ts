// Kafka for tests, as an administrator.
import { ConfigResourceTypes, logLevel } from "kafkajs";
import type { Admin, ConfigEntries, KafkaConfig } from "kafkajs";
import { newKafka } from "../../src/kafka/client.ts";
import { servers } from "./servers.ts";

/** @param config default: the stack's Kafka */
export async function asKafkaAdmin<T>(use: (admin: Admin) => Promise<T>, config?: KafkaConfig): Promise<T> {
  const kafka = newKafka({ brokers: servers().kafkaBrokers.split(","), ...config, logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Creates a topic as an administrator would, beside Headrace. */
export function createTopic(topic: string, settings: Record<string, string>, numPartitions = 1): Promise<unknown> {
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
  return asKafkaAdmin((admin) => admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] }));
}

/** What Kafka tells of a setting of a topic. */
export async function topicSetting(topic: string, name: string): Promise<ConfigEntries | undefined> {
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: [name] }];
  const answer = await asKafkaAdmin((admin) => admin.describeConfigs({ resources, includeSynonyms: false }));
  return answer.resources[0]?.configEntries[0];
}
