import { expect, test } from "vitest";
import { sendSignals } from "../../../src/operations/send-signals.ts";
import { kafkaSignals } from "../../../src/producers/kafka/signals.ts";
import type { LoggedSignal, OpenSignals } from "../../../src/producers/ports.ts";
import type { Logger } from "../../../src/runtime/logger.ts";
import { signalIdOf } from "../../../src/schemas/signal.ts";
import type { Signal } from "../../../src/schemas/signal.ts";
import { signalsTopic } from "../../../src/schemas/topics.ts";
import { apiKeys, startKafkaProxy } from "../../support/kafka-proxy.ts";
import { servers } from "../../support/servers.ts";
import { silentLogger } from "../mongodb/source-collector.ts";
import { ProducerUnderTest } from "../producer-under-test.ts";
import { pipelineName, pipelineTopics, testKafka } from "./pipeline-topics.ts";

const resync: Signal = { type: "resync", collection: "a" };
const snapshot: Signal = { type: "snapshot", collection: "b", filter: '{"n":1}' };

interface LogUnderTest {
  readonly name: string;
  readonly words: string[];
  readonly open: (offset: bigint) => Promise<OpenSignals>;
}

async function freshLog(): Promise<LogUnderTest> {
  const name = pipelineName();
  await pipelineTopics(name, "db").prepareInternal();
  const words: string[] = [];
  const note = (_fields: unknown, text?: string) => words.push(String(text));
  const logger = { ...silentLogger, warn: note, error: note } as Logger;
  const log = kafkaSignals({ kafka: testKafka(), name, logger });
  return { name, words, open: (offset) => log.open(offset) };
}

async function takeAll(signals: OpenSignals, count: number): Promise<LoggedSignal[]> {
  const taken: LoggedSignal[] = [];
  while (taken.length < count) {
    const signal = signals.take();
    if (signal === null) await signals.arrival();
    else taken.push(signal);
  }
  return taken;
}

test("signals are read in their order, also those sent after opening, and again from a given offset", async () => {
  const { name, open } = await freshLog();
  expect(await sendSignals(testKafka(), name, [resync, snapshot])).toBe(1n);
  const signals = await open(0n);
  expect(signals.end).toBe(2n);
  const first = await takeAll(signals, 2);
  expect(first).toEqual([
    { offset: 0n, signal: resync },
    { offset: 1n, signal: snapshot },
  ]);
  await sendSignals(testKafka(), name, [resync]);
  expect(await takeAll(signals, 1)).toEqual([{ offset: 2n, signal: resync }]);
  await signals.close();
  const again = await open(1n);
  expect(await takeAll(again, 2)).toMatchObject([{ offset: 1n }, { offset: 2n }]);
  expect(again.take()).toBeNull();
  await again.close();
});

test("a record that is no signal is taken as null, and logged", async () => {
  const { name, words, open } = await freshLog();
  const producer = testKafka().producer();
  await producer.connect();
  await producer.send({
    topic: signalsTopic(name),
    messages: [{ value: "stop!" }, { value: null }, { value: '{"type":"stop","collection":"a"}' }],
  });
  await producer.disconnect();
  await sendSignals(testKafka(), name, [resync]);
  const signals = await open(0n);
  expect((await takeAll(signals, 4)).map(({ signal }) => signal)).toEqual([null, null, null, resync]);
  expect(words.length).toBe(3);
  await signals.close();
});

test("an invalid signal is not sent", async () => {
  const { name } = await freshLog();
  const invalid: Signal = { type: "snapshot", collection: "a", ids: [{ id: "{" }] };
  await expect(sendSignals(testKafka(), name, [invalid])).rejects.toMatchObject({ code: "SIGNAL_INVALID" });
});

test("a running producer carries out new signals, and one that runs once those already in the topic", async () => {
  const producer = await ProducerUnderTest.create();
  const items = producer.db.collection<{ _id: number; n: number }>("items");
  await items.insertMany([1, 2, 3].map((_id) => ({ _id, n: _id })));
  await producer.runOnce();
  const reads = async (): Promise<string[]> =>
    (await producer.changes("items")).filter(({ op }) => op === "r").map(({ key }) => key);
  const ofIds = (...ids: number[]): Signal => ({
    type: "snapshot",
    collection: "items",
    ids: ids.map((id) => ({ id: signalIdOf(String(id)) })),
  });
  await sendSignals(testKafka(), producer.name, [
    ofIds(2),
    { type: "snapshot", collection: "items", filter: '{"n":3}' },
  ]);
  await producer.runOnce();
  expect((await reads()).sort()).toEqual(["1", "2", "2", "3", "3"]);
  const running = producer.start();
  await sendSignals(testKafka(), producer.name, [ofIds(1)]);
  await expect.poll(reads, { timeout: 60_000 }).toHaveLength(6);
  await running.stop();
});

test("signals that cannot be read are a retryable failure", async () => {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  const name = pipelineName();
  await pipelineTopics(name, "db").prepareInternal();
  proxy.setVerdict((apiKey) => (apiKey === apiKeys.fetch ? "cut" : "pass"));
  const kafka = testKafka(proxy.brokers);
  const signals = await kafkaSignals({ kafka, name, logger: silentLogger }).open(0n);
  await signals.arrival();
  await signals.close();
  expect(() => signals.take()).toThrow(
    expect.objectContaining({ code: "KAFKA_UNAVAILABLE", kind: "retryable" }) as Error,
  );
  await proxy.close();
});

test("reading signals needs no consumer group", async () => {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  const name = pipelineName();
  await pipelineTopics(name, "db").prepareInternal();
  await sendSignals(testKafka(), name, [resync]);
  const signals = await kafkaSignals({ kafka: testKafka(proxy.brokers), name, logger: silentLogger }).open(0n);
  expect(await takeAll(signals, 1)).toEqual([{ offset: 0n, signal: resync }]);
  await signals.close();
  expect(proxy.requestCount(apiKeys.joinGroup) + proxy.requestCount(apiKeys.findCoordinator)).toBe(0);
  await proxy.close();
});
