// Questions about topics.
import { logLevel } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { deleteTopics } from "../../src/kafka/admin.ts";
import { newKafka } from "../../src/kafka/client.ts";
import {
  countPartitions,
  describeTopics,
  fetchEndOffsets,
  fetchLogBounds,
  listTopics,
} from "../../src/kafka/topics.ts";
import { connectKafka, useKafka } from "../consumers/kafka/fixture.ts";
import { asKafkaAdmin } from "../support/kafka-admin.ts";
import { apiKeys, startKafkaProxy } from "../support/kafka-proxy.ts";
import type { KafkaProxy } from "../support/kafka-proxy.ts";
import { useSecuredKafka } from "../support/own-kafka.ts";
import { servers, uniqueName } from "../support/servers.ts";

const fixture = useKafka();
const secured = useSecuredKafka();

async function freshTopic(partitions = 1): Promise<string> {
  const topic = `${fixture.prefix}-${uniqueName("topic")}`;
  await fixture.createTopic(topic, partitions);
  return topic;
}

async function freshProxy(): Promise<KafkaProxy> {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  return proxy;
}

test("the bounds and ends of topics come in the order of the topics and their partitions", async () => {
  const [one, two] = [await freshTopic(3), await freshTopic(2)];
  const wanted = [...[0, 1].map((partition) => [two, partition]), ...[0, 1, 2].map((partition) => [one, partition])];
  const ends = await fetchEndOffsets(fixture.kafka, [two, one, two]);
  expect(ends).toEqual(wanted.map(([topic, partition]) => ({ topic, partition, offset: 0n })));
  const bounds = [...(await fetchLogBounds(fixture.kafka, [two, one])).values()];
  expect(bounds).toEqual(wanted.map(([topic, partition]) => ({ topic, partition, low: 0n, high: 0n })));
  expect((await describeTopics(fixture.kafka, [one])).get(one)?.leaders.size).toBe(3);
});

test("share one connection, also after one of the topics is deleted", async () => {
  const [one, two] = [await freshTopic(), await freshTopic()];
  const proxy = await freshProxy();
  const kafka = connectKafka(proxy.brokers);
  for (let times = 0; times < 5; times++) {
    expect(await fetchEndOffsets(kafka, [one, two])).toHaveLength(2);
    expect(await listTopics(kafka, (topic) => topic === one)).toEqual([one]);
  }
  await deleteTopics(fixture.kafka, [one]);
  expect(await fetchEndOffsets(kafka, [two])).toHaveLength(1);
  // Each connection begins with this request.
  expect(proxy.requestCount(apiKeys.apiVersions)).toBe(1);
  await expect(fetchEndOffsets(kafka, [one])).rejects.toMatchObject({ code: "KAFKA_TOPIC_MISSING" });
});

test("get their answers over a new connection where the kept one is broken", async () => {
  const topic = await freshTopic();
  const proxy = await freshProxy();
  const kafka = connectKafka(proxy.brokers);
  for (let times = 0; times < 3; times++) {
    expect(await fetchEndOffsets(kafka, [topic])).toHaveLength(1);
    proxy.cut();
    proxy.restore();
  }
  expect(proxy.requestCount(apiKeys.apiVersions)).toBe(3);
});

test.each([
  ["ends", fetchEndOffsets],
  ["bounds", fetchLogBounds],
])("the %s of a topic that the user may not see are refused, and are not those of an empty topic", async (_, ask) => {
  const topic = uniqueName("topic");
  await asKafkaAdmin((admin) => admin.createTopics({ topics: [{ topic }] }), secured.admin);
  const { username, password } = secured.freshUser();
  const sasl = { mechanism: "plain" as const, username, password };
  const kafka = newKafka({ brokers: [...secured.brokers], sasl, logLevel: logLevel.NOTHING });
  await expect(ask(kafka, [topic])).rejects.toMatchObject({ code: "KAFKA_FORBIDDEN" });
  await expect(countPartitions(kafka, topic)).rejects.toMatchObject({ code: "KAFKA_FORBIDDEN" });
});
