import { Kafka, logLevel } from "kafkajs";
import { MongoClient } from "mongodb";
import { afterEach, expect, test, vi } from "vitest";
import { apiKeys, startKafkaProxy } from "./kafka-proxy.ts";
import type { KafkaProxy } from "./kafka-proxy.ts";
import { servers, uniqueName } from "./servers.ts";
import { startProxy } from "./tcp-proxy.ts";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function kafkaProxy(): Promise<KafkaProxy> {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  closers.push(() => proxy.close());
  return proxy;
}

function client(brokers: string, retries: number): Kafka {
  return new Kafka({
    brokers: [brokers],
    logLevel: logLevel.NOTHING,
    requestTimeout: 500,
    enforceRequestTimeout: true,
    retry: { retries, initialRetryTime: 50 },
  });
}

async function freshTopic(): Promise<string> {
  const topic = uniqueName("proxy");
  const admin = client(servers().kafkaBrokers, 5).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
  await admin.disconnect();
  return topic;
}

/** Values in the topic, read without the proxy. */
async function valuesIn(topic: string, atLeast: number): Promise<string[]> {
  return await consume(servers().kafkaBrokers, topic, atLeast);
}

async function consume(brokers: string, topic: string, atLeast: number): Promise<string[]> {
  const consumer = client(brokers, 5).consumer({ groupId: uniqueName("group"), maxWaitTimeInMs: 100 });
  const values: string[] = [];
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      values.push(String(message.value));
    },
  });
  await vi.waitFor(() => expect(values.length).toBeGreaterThanOrEqual(atLeast), { timeout: 30_000 });
  await consumer.disconnect();
  return values;
}

test("a Kafka client uses only the proxy", async () => {
  const proxy = await kafkaProxy();
  const topic = await freshTopic();
  const producer = client(proxy.brokers, 5).producer();
  await producer.connect();
  closers.push(() => producer.disconnect());
  await producer.send({ topic, messages: [{ value: "a" }, { value: "b" }] });
  expect(proxy.requestCount(apiKeys.produce)).toBe(1);

  expect(await consume(proxy.brokers, topic, 2)).toEqual(["a", "b"]);
  expect(proxy.requestCount(apiKeys.fetch)).toBeGreaterThan(0);
  expect(proxy.requestCount(apiKeys.findCoordinator)).toBeGreaterThan(0);
});

test.each(["drop", "cut"] as const)(
  "a lost Produce response (%s) fails in the client, but the record is written",
  async (verdict) => {
    const proxy = await kafkaProxy();
    const topic = await freshTopic();
    const producer = client(proxy.brokers, 1).producer();
    await producer.connect();
    closers.push(() => producer.disconnect());
    await producer.send({ topic, messages: [{ value: "before" }] });

    proxy.setVerdict((apiKey) => (apiKey === apiKeys.produce ? verdict : "pass"));
    await expect(producer.send({ topic, messages: [{ value: "lost answer" }] })).rejects.toThrow();
    expect(proxy.lostCount(apiKeys.produce)).toBeGreaterThan(0);

    proxy.setVerdict(() => "pass");
    const other = client(proxy.brokers, 5).producer();
    await other.connect();
    closers.push(() => other.disconnect());
    await other.send({ topic, messages: [{ value: "after" }] });
    const values = await valuesIn(topic, 3);
    expect(new Set(values)).toEqual(new Set(["before", "lost answer", "after"]));
  },
);

test("passes a frame of many megabytes", async () => {
  const proxy = await kafkaProxy();
  const topic = await freshTopic();
  const producer = client(proxy.brokers, 5).producer();
  await producer.connect();
  closers.push(() => producer.disconnect());
  const value = "x".repeat(17 * 1024 * 1024);
  await producer.send({ topic, messages: [{ value }], timeout: 30_000 });
  expect((await valuesIn(topic, 1))[0] === value).toBe(true);
});

test("a cut proxy resets its connections until it is restored", async () => {
  const { hosts } = new MongoClient(servers().mongodbUri).options;
  const proxy = await startProxy({ targetHost: hosts[0]?.host ?? "", targetPort: hosts[0]?.port ?? 0 });
  closers.push(() => proxy.close());
  const mongo = new MongoClient(`mongodb://${proxy.host}:${proxy.port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 300,
    retryReads: false,
  });
  closers.push(() => mongo.close());
  const ping = (): Promise<unknown> => mongo.db("admin").command({ ping: 1 });
  await ping();
  proxy.cut();
  await expect(ping()).rejects.toThrow();
  proxy.restore();
  await vi.waitFor(ping, { timeout: 10_000 });
});

test("pauseResponses delays the response, not the request", async () => {
  const { hosts } = new MongoClient(servers().mongodbUri).options;
  const proxy = await startProxy({ targetHost: hosts[0]?.host ?? "", targetPort: hosts[0]?.port ?? 0 });
  closers.push(() => proxy.close());
  const mongo = new MongoClient(`mongodb://${proxy.host}:${proxy.port}/?directConnection=true`);
  const direct = new MongoClient(servers().mongodbUri);
  closers.push(
    () => mongo.close(),
    () => direct.close(),
  );
  const database = uniqueName("test");
  const things = mongo.db(database).collection("things");
  await things.insertOne({ a: 1 });

  proxy.pauseResponses();
  let answered = false;
  const insert = things.insertOne({ a: 2 }).then(() => (answered = true));
  await vi.waitFor(async () => expect(await direct.db(database).collection("things").countDocuments()).toBe(2));
  expect(answered).toBe(false);
  proxy.resume();
  await insert;
  await direct.db(database).dropDatabase();
});
