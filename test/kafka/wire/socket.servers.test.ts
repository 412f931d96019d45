import { Kafka, logLevel } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { kafkaSocket } from "../../../src/kafka/wire/socket.ts";
import { apiKeys, startKafkaProxy } from "../../support/kafka-proxy.ts";
import { servers } from "../../support/servers.ts";

test("a client resumes after a connection broke in the middle of a response", async () => {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  const admin = new Kafka({
    brokers: [proxy.brokers],
    logLevel: logLevel.NOTHING,
    requestTimeout: 2_000,
    retry: { retries: 2, initialRetryTime: 10 },
    socketFactory: kafkaSocket,
  }).admin();
  await admin.connect();
  onTestFinished(() => admin.disconnect());
  expect((await admin.describeCluster()).brokers.length).toBe(1);
  let left = 1;
  proxy.setVerdict((apiKey) => (apiKey === apiKeys.metadata && left-- > 0 ? "break" : "pass"));
  await admin.describeCluster().catch(() => {});
  expect(proxy.lostCount(apiKeys.metadata)).toBe(1);
  expect((await admin.describeCluster()).brokers.length).toBe(1);
});
