import { expect, onTestFinished, test, vi } from "vitest";
import type { Mock } from "vitest";
import { apiKeys, startKafkaProxy } from "../support/kafka-proxy.ts";
import type { KafkaProxy } from "../support/kafka-proxy.ts";
import { ModelWriter } from "../support/model-writer.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import { servers } from "../support/servers.ts";
import { testKafka } from "./kafka/pipeline-topics.ts";
import { ProducerUnderTest, documentsOf, duplicatesOf, tableOf } from "./producer-under-test.ts";
import type { RunningProducer } from "./producer-under-test.ts";

const INIT_PRODUCER_ID = 22;
const COLLECTION = "things";

interface Faulty {
  readonly producer: ProducerUnderTest;
  readonly writer: ModelWriter;
  readonly proxy: KafkaProxy;
}

async function setUp(): Promise<Faulty> {
  const producer = await ProducerUnderTest.create();
  const { client, db } = producer;
  await db.createCollection(COLLECTION);
  const random = seededRandom(printedSeed());
  const writer = new ModelWriter({ client, db, random, collections: [COLLECTION], keys: 50 });
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  return { producer, writer, proxy };
}

/** Starts a producer that reaches Kafka through the proxy, and waits until it works. */
async function startThrough({ producer, proxy }: Faulty): Promise<{ running: RunningProducer; published: Mock }> {
  const published = vi.fn();
  const running = producer.start({ kafka: testKafka(proxy.brokers), observer: { published } });
  await vi.waitFor(() => expect(published).toHaveBeenCalled(), 30_000);
  return { running, published };
}

/** Drops the responses to one kind of request until `isEnough`, while documents are written. */
async function writeUnderFault({ proxy, writer }: Faulty, apiKey: number, isEnough: () => boolean): Promise<void> {
  const lostBefore = proxy.lostCount(apiKey);
  proxy.setVerdict((key) => (key === apiKey ? "cut" : "pass"));
  while (!isEnough()) await writer.step();
  proxy.setVerdict(() => "pass");
  expect(proxy.lostCount(apiKey)).toBeGreaterThan(lostBefore);
}

async function expectEverythingOnce({ producer }: Faulty): Promise<void> {
  const changes = await producer.changes(COLLECTION);
  expect(tableOf(changes)).toEqual(await documentsOf(producer.db, COLLECTION));
  expect(duplicatesOf(changes)).toEqual([]);
}

test("lost responses to produce requests lose and duplicate nothing", async () => {
  const faulty = await setUp();
  const { producer, writer, proxy } = faulty;
  const { running, published } = await startThrough(faulty);
  for (let rounds = 0; rounds < 1; rounds++) {
    for (let i = 0; i < 100; i++) await writer.step();
    const sessions = proxy.requestCount(INIT_PRODUCER_ID);
    // Until kafkajs has given up and the next session begins.
    await writeUnderFault(faulty, apiKeys.produce, () => proxy.requestCount(INIT_PRODUCER_ID) > sessions);
    const before = published.mock.calls.length;
    await vi.waitFor(() => expect(published.mock.calls.length).toBeGreaterThan(before + 3), 60_000);
  }
  await running.stop();
  await producer.runOnce();
  await expectEverythingOnce(faulty);
});

test("lost responses to commits lose and duplicate nothing", async () => {
  const faulty = await setUp();
  const { producer, writer, proxy } = faulty;
  const { running, published } = await startThrough(faulty);
  for (let rounds = 0; rounds < 5; rounds++) {
    for (let i = 0; i < 50; i++) await writer.step();
    const lost = proxy.lostCount(apiKeys.endTxn);
    await writeUnderFault(faulty, apiKeys.endTxn, () => proxy.lostCount(apiKeys.endTxn) > lost);
    const before = published.mock.calls.length;
    await vi.waitFor(() => expect(published.mock.calls.length).toBeGreaterThan(before), 60_000);
  }
  await running.stop();
  await producer.runOnce();
  await expectEverythingOnce(faulty);
});

test("connections that break at any time lose and duplicate nothing", async () => {
  const faulty = await setUp();
  const { producer, writer, proxy } = faulty;
  const { running } = await startThrough(faulty);
  for (let rounds = 0; rounds < 10; rounds++) {
    for (let i = 0; i < 40; i++) await writer.step();
    proxy.cut();
    for (let i = 0; i < 10; i++) await writer.step();
    proxy.restore();
  }
  await running.stop();
  await producer.runOnce();
  await expectEverythingOnce(faulty);
});
