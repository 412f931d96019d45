import { expect, onTestFinished, test } from "vitest";
import { deleteTopics } from "../../src/kafka/admin.ts";
import { fetchTopicIds } from "../../src/kafka/topic-ids.ts";
import { connectKafka, useKafka } from "../consumers/kafka/fixture.ts";
import { apiKeys, startKafkaProxy } from "../support/kafka-proxy.ts";
import { servers, uniqueName } from "../support/servers.ts";

const fixture = useKafka();

function freshName(): string {
  return `${fixture.prefix}.${uniqueName("ids")}`;
}

test("a topic keeps its id, and gets another one when it is created again", async () => {
  const [topic, other] = [freshName(), freshName()];
  await fixture.createTopic(topic, 3);
  await fixture.createTopic(other);
  const first = await fetchTopicIds(fixture.kafka, [topic, other]);
  expect(first.get(topic)).toMatch(/^[0-9a-f]{32}$/);
  expect(first.get(topic)).not.toBe(first.get(other));
  expect(await fetchTopicIds(fixture.kafka, [other, topic])).toEqual(first);
  await deleteTopics(fixture.kafka, [topic]);
  await fixture.createTopic(topic, 3);
  expect((await fetchTopicIds(fixture.kafka, [topic])).get(topic)).not.toBe(first.get(topic));
});

test("a topic that does not exist has no entry, and is not created", async () => {
  const [topic, missing] = [freshName(), freshName()];
  await fixture.createTopic(topic);
  expect([...(await fetchTopicIds(fixture.kafka, [missing, topic])).keys()]).toEqual([topic]);
  expect((await fetchTopicIds(fixture.kafka, [missing])).size).toBe(0);
  expect(await fetchTopicIds(fixture.kafka, [])).toEqual(new Map());
});

test("many topics are asked for at once", async () => {
  const topics = Array.from({ length: 150 }, freshName);
  await fixture.createTopic(topics[149] ?? "");
  expect([...(await fetchTopicIds(fixture.kafka, topics)).keys()]).toEqual([topics[149]]);
});

test("an answer that does not come can be asked for again", async () => {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  const topic = freshName();
  await fixture.createTopic(topic);
  proxy.setVerdict((apiKey) => (apiKey === apiKeys.metadata ? "cut" : "pass"));
  const failed = await fetchTopicIds(connectKafka(proxy.brokers), [topic]).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "KAFKA_UNAVAILABLE", kind: "retryable" });
});
