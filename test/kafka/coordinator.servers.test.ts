import type { Producer } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { connectKafka, useKafka } from "../consumers/kafka/fixture.ts";
import { apiKeys, startKafkaProxy } from "../support/kafka-proxy.ts";
import type { KafkaProxy } from "../support/kafka-proxy.ts";
import { servers, uniqueName } from "../support/servers.ts";

const fixture = useKafka();

interface Transactions {
  readonly proxy: KafkaProxy;
  readonly producer: Producer;
  readonly topic: string;
}

async function transactions(): Promise<Transactions> {
  const topic = `${fixture.prefix}.${uniqueName("topic")}`;
  await fixture.createTopic(topic);
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  const producer = connectKafka(proxy.brokers).producer({
    idempotent: true,
    transactionalId: uniqueName("transactions"),
    maxInFlightRequests: 1,
    retry: { initialRetryTime: 1, retries: 30 },
  });
  onTestFinished(async () => {
    await producer.disconnect();
    await proxy.close();
  });
  await producer.connect();
  return { proxy, producer, topic };
}

async function commitOne({ producer, topic }: Transactions): Promise<void> {
  const transaction = await producer.transaction();
  await transaction.send({ topic, messages: [{ value: "a" }] });
  await transaction.commit();
}

test("transactions ask once for their coordinator", async () => {
  const running = await transactions();
  for (let count = 0; count < 20; count++) await commitOne(running);
  expect(running.proxy.requestCount(apiKeys.findCoordinator)).toBe(1);
  expect(running.proxy.requestCount(apiKeys.endTxn)).toBe(20);
});

test("a coordinator that was lost is asked for again", async () => {
  const running = await transactions();
  await commitOne(running);
  running.proxy.cut();
  running.proxy.restore();
  await commitOne(running);
  expect(running.proxy.requestCount(apiKeys.findCoordinator)).toBe(2);
  expect(await fixture.endOffset(running.topic)).toBe(4n);
});
