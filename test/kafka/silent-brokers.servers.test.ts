// Brokers that accept connections and answer nothing, as after a SIGSTOP or behind a broken load balancer.
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { logLevel } from "kafkajs";
import type { Kafka } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { newKafka } from "../../src/kafka/client.ts";
import { kafkaError } from "../../src/kafka/errors.ts";
import { plainProducer } from "../../src/kafka/plain-producer.ts";
import { listTopics } from "../../src/kafka/topics.ts";
import { useKafka } from "../consumers/kafka/fixture.ts";
import { startKafkaProxy } from "../support/kafka-proxy.ts";
import { servers, uniqueName } from "../support/servers.ts";

const fixture = useKafka();

/** Patient for a second only, so that the test is quick. */
function impatientKafka(brokers: readonly string[]): Kafka {
  return newKafka({
    brokers: [...brokers],
    connectionTimeout: 1_000,
    requestTimeout: 1_000,
    retry: { retries: 3, initialRetryTime: 50, maxRetryTime: 100 },
    logLevel: logLevel.NOTHING,
  });
}

test("a bootstrap broker that answers nothing is passed over", async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const topic = `${fixture.prefix}-${uniqueName("topic")}`;
  await fixture.createTopic(topic);
  const kafka = impatientKafka([address, servers().kafkaBrokers]);
  expect(await listTopics(kafka, (each) => each === topic)).toEqual([topic]);
  expect(sockets.length).toBeGreaterThan(0);
});

test("a start against brokers that answer nothing fails with a retryable error", async () => {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  proxy.pauseRequests();
  const kafka = impatientKafka([proxy.brokers]);
  await expect(listTopics(kafka, () => true)).rejects.toMatchObject({ code: "KAFKA_UNAVAILABLE", kind: "retryable" });
  const producer = plainProducer(kafka);
  onTestFinished(() => producer.disconnect());
  const failure = await producer.connect().then(
    () => producer.send({ topic: "any", messages: [{ value: "a" }] }),
    (error: unknown) => kafkaError(error, "connecting"),
  );
  expect(failure).toMatchObject({ code: "KAFKA_UNAVAILABLE" });
});

test("a client of a broker that stops answering fails with a retryable error for as long, and then goes on", async () => {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  const topic = `${fixture.prefix}-${uniqueName("topic")}`;
  await fixture.createTopic(topic);
  const producer = plainProducer(impatientKafka([proxy.brokers]));
  onTestFinished(() => producer.disconnect());
  const send = async () => {
    await producer.connect();
    await producer.send({ topic, messages: [{ value: "a" }] });
  };
  await send();
  proxy.pauseRequests();
  for (let times = 0; times < 6; times++) {
    const failure = await send().then(
      () => undefined,
      (error: unknown) => kafkaError(error, "sending"),
    );
    expect(failure).toMatchObject({ code: "KAFKA_UNAVAILABLE", kind: "retryable" });
  }
  proxy.resume();
  await expect.poll(() => send().then(() => "sent", String), { timeout: 30_000 }).toBe("sent");
});
