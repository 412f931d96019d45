import kafkajs from "kafkajs";
import type { Admin, Kafka } from "kafkajs";
import { kafkaError } from "./errors.ts";
import { setTopicExchange } from "./wire/admin-requests.ts";
import { kafkajsCluster } from "./wire/kafkajs-internals.ts";

/** The values that some settings of some topics have, by topic and by setting, whether set or taken from the broker. */
export type TopicConfigs = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** @throws what kafkajs throws */
export async function readTopicConfigs(
  admin: Admin,
  topics: readonly string[],
  names: readonly string[],
): Promise<TopicConfigs> {
  if (topics.length === 0) return new Map();
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames: [...names] })),
  });
  return new Map(
    resources.map(({ resourceName, configEntries }) => [
      resourceName,
      new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
    ]),
  );
}

/**
 * Sets some settings of a topic and leaves the others; kafkajs's own `alterConfigs` would reset them.
 * @throws HeadraceError KAFKA_FORBIDDEN without the right AlterConfigs on the topic, or Kafka's
 */
export async function setTopicConfig(
  kafka: Kafka,
  topic: string,
  settings: ReadonlyMap<string, string>,
): Promise<void> {
  const doing = `setting ${[...settings.keys()].join(", ")} of the topic ${topic}`;
  const cluster = kafkajsCluster<never>(kafka);
  try {
    await cluster.connect();
    const broker = await cluster.brokerPool.findConnectedBroker();
    await broker.connectionPool.send(setTopicExchange(topic, settings));
  } catch (error) {
    throw kafkaError(error, doing);
  } finally {
    await cluster.disconnect();
  }
}
