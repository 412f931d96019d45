// Brokers that stop answering while a client logs in.
import { logLevel } from "kafkajs";
import type { Kafka } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { newKafka } from "../../src/kafka/client.ts";
import { listTopics } from "../../src/kafka/topics.ts";
import { apiKeys, startKafkaProxy } from "../support/kafka-proxy.ts";
import { useSecuredKafka } from "../support/own-kafka.ts";

const secured = useSecuredKafka();

/** Patient for a second only, so that the test is quick. */
function impatientKafka(brokers: readonly string[], password: string): Kafka {
  return newKafka({
    brokers: [...brokers],
    sasl: { mechanism: "plain", username: secured.admin.sasl.username, password },
    connectionTimeout: 1_000,
    authenticationTimeout: 1_000,
    requestTimeout: 1_000,
    retry: { retries: 2, initialRetryTime: 50, maxRetryTime: 100 },
    logLevel: logLevel.NOTHING,
  });
}

test("a login that the broker refuses is fatal", async () => {
  const kafka = impatientKafka(secured.brokers, "wrong");
  await expect(listTopics(kafka, () => true)).rejects.toMatchObject({ code: "KAFKA_LOGIN_FAILED", kind: "fatal" });
});

test.each([
  ["apiVersions", "drop"],
  ["saslHandshake", "drop"],
  ["saslAuthenticate", "drop"],
  ["saslHandshake", "cut"],
  ["saslAuthenticate", "cut"],
] as const)(
  "a login that loses the answer to its %s (%s) fails with a retryable error for as long, and then succeeds",
  async (request, loss) => {
    const proxy = await startKafkaProxy(secured.brokers.join());
    onTestFinished(() => proxy.close());
    proxy.setVerdict((apiKey) => (apiKey === apiKeys[request] ? loss : "pass"));
    const kafka = impatientKafka([proxy.brokers], secured.admin.sasl.password);
    const failure = { code: "KAFKA_UNAVAILABLE", kind: "retryable" };
    for (let times = 0; times < 2; times++) {
      await expect(listTopics(kafka, () => true)).rejects.toMatchObject(failure);
    }
    expect(proxy.lostCount(apiKeys[request])).toBeGreaterThan(0);
    proxy.setVerdict(() => "pass");
    expect(await listTopics(kafka, () => true)).toEqual([]);
  },
);
