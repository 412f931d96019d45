import type { Kafka } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { countPartitions, listTopics } from "../../src/kafka/topics.ts";
import { connectKafka, useKafka } from "../consumers/kafka/fixture.ts";
import { apiKeys, startKafkaProxy } from "../support/kafka-proxy.ts";
import { servers, uniqueName } from "../support/servers.ts";

const fixture = useKafka();

test.each([
  ["listing topics", (kafka: Kafka, topic: string) => listTopics(kafka, (each) => each === topic)],
  ["counting partitions", countPartitions],
])("%s can be tried again where the connection breaks before an answer, whichever", async (_, ask) => {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  const topic = `${fixture.prefix}-${uniqueName("topic")}`;
  await fixture.createTopic(topic);
  // kafkajs asks more than once; where the last answer does not come, it goes on with null.
  for (const answered of [0, 1, 2]) {
    let answers = 0;
    proxy.setVerdict((apiKey) => (apiKey === apiKeys.metadata && answers++ >= answered ? "cut" : "pass"));
    const outcome = await ask(connectKafka(proxy.brokers), topic).catch((error: unknown) => error);
    if (answers > answered) expect(outcome).toMatchObject({ code: "KAFKA_UNAVAILABLE", kind: "retryable" });
  }
  expect(proxy.lostCount(apiKeys.metadata)).toBeGreaterThan(1);
});
