// Transactions that the broker aborts because they take longer than their timeout, and a hanging transaction.
import { expect, onTestFinished, test, vi } from "vitest";
import { fetchEndOffsets } from "../../../src/kafka/topics.ts";
import { kafkaSessions } from "../../../src/producers/kafka/session.ts";
import type { SessionOptions } from "../../../src/producers/kafka/session.ts";
import { BatchLimits } from "../../../src/producers/records/batch-limits.ts";
import type { TopicRecord } from "../../../src/producers/records/batch-records.ts";
import type { ChangeEvent, Position } from "../../../src/schemas/change-event.ts";
import { decodePosition, POSITION_KEY } from "../../../src/schemas/position.ts";
import { positionsTopic } from "../../../src/schemas/topics.ts";
import { apiKeys, startKafkaProxy } from "../../support/kafka-proxy.ts";
import { servers } from "../../support/servers.ts";
import { silentLogger } from "../mongodb/source-collector.ts";
import { pipelineName, pipelineTopics, readTopic, testKafka } from "./pipeline-topics.ts";

const BEFORE: Position = {
  resumeToken: null,
  clusterTime: 5n,
  cluster: "cluster",
  horizon: 0n,
  snapshots: new Map(),
  signals: { offset: 0n, after: null },
};
const AFTER: Position = { ...BEFORE, clusterTime: 20n };
const EVENTS: readonly ChangeEvent[] = Array.from({ length: 8 }, (_, index) => ({
  op: "u",
  collection: "items",
  documentKey: Buffer.from(String(index)),
  document: Buffer.alloc(0),
  version: 10n + BigInt(index),
}));

async function endOf(topic: string): Promise<bigint> {
  const ends = await fetchEndOffsets(testKafka(), [topic]);
  return ends.reduce((sum, { offset }) => sum + offset, 0n);
}

async function setUp(options: Partial<SessionOptions> = {}) {
  const name = pipelineName();
  const topics = pipelineTopics(name, "db");
  await topics.prepareInternal();
  const { topic } = await topics.topicOf("items");
  const warn = vi.fn<(fields: object, message: string) => void>();
  const openSession = kafkaSessions({
    kafka: testKafka(),
    name,
    watch: null,
    instance: { id: "one", startedAtMs: 0 },
    limits: new BatchLimits(),
    messageLimits: async () => new Map(),
    makeRecords: async (events) =>
      events.map(({ version }): TopicRecord => {
        const key = Buffer.from(String(version));
        return { topic, partition: 0, key, value: Buffer.alloc(1_000), timestampMs: Date.now() };
      }),
    logger: { ...silentLogger, warn },
    ...options,
  });
  const open = () => openSession({ signal: AbortSignal.timeout(60_000) });
  return { name, topic, open, warn };
}

test("a transaction that Kafka aborts as too slow is made smaller, and is told by a warning and a metric", async () => {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  const transactionTooSlow = vi.fn<() => void>();
  const observer = { transactionTooSlow };
  const kafka = testKafka(proxy.brokers);
  const { name, topic, open, warn } = await setUp({ kafka, transactionTimeoutMs: 1_000, observer });
  const first = await open();
  await first.publish({ events: [], position: BEFORE });

  // The answer to the request after this one does not come: it is the Produce request.
  proxy.setVerdict((key) => {
    if (key === apiKeys.addPartitionsToTxn) proxy.pauseResponses();
    return "pass";
  });
  const published = first.publish({ events: EVENTS, position: AFTER });
  const failure = expect(published).rejects.toMatchObject({ code: "KAFKA_SESSION_LOST", kind: "retryable" });
  // The broker looks for such transactions every 10 s. A marker follows the records.
  await expect.poll(() => endOf(topic), { timeout: 60_000 }).toBe(BigInt(EVENTS.length) + 1n);
  proxy.setVerdict(() => "pass");
  proxy.resume();
  await failure;
  await first.close();
  expect(warn.mock.calls.map(([, message]) => message)).toEqual([
    expect.stringContaining("making transactions smaller"),
  ]);
  expect(transactionTooSlow).toHaveBeenCalledTimes(1);

  const second = await open();
  expect(second.position).toEqual(BEFORE);
  await second.publish({ events: EVENTS, position: AFTER });
  await second.close();
  const keys = (await readTopic(topic)).map(({ key }) => BigInt(String(key)));
  expect(keys).toEqual(EVENTS.map(({ version }) => version));
  const positions = (await readTopic(positionsTopic(name)))
    .filter(({ key }) => String(key) === POSITION_KEY)
    .map(({ value }) => decodePosition(String(value)));
  // Within the batch: the position before it, and a horizon from which a restart knows what may be published.
  expect(positions).toContainEqual({ ...BEFORE, horizon: 17n });
  expect(positions.at(-1)).toEqual(AFTER);
});

test("after a crash between the transactions of one batch, a session resumes before the batch, with the horizon", async () => {
  const limits = new (class extends BatchLimits {
    transactionsLeft = Infinity;

    override requests(records: readonly TopicRecord[]): Generator<readonly TopicRecord[]> {
      if (this.transactionsLeft-- === 0) throw new Error("crash");
      return super.requests(records);
    }
  })();
  const { topic, open } = await setUp({ limits });
  const first = await open();
  await first.publish({ events: [], position: BEFORE });
  limits.tookTooLong([{ topic, partition: 0, key: null, value: Buffer.alloc(8_000), timestampMs: 0 }]);
  limits.transactionsLeft = 1;
  await expect(first.publish({ events: EVENTS, position: AFTER })).rejects.toThrow();
  await first.close();
  limits.transactionsLeft = Infinity;

  const second = await open();
  expect(second.position).toEqual({ ...BEFORE, horizon: 17n });
  const published = (await readTopic(topic)).map(({ key }) => BigInt(String(key)));
  expect(published.length).toBeGreaterThan(0);
  expect(published).toEqual(EVENTS.slice(0, published.length).map(({ version }) => version));
  expect(published.length).toBeLessThan(EVENTS.length);
  await second.close();
});

test("while a hanging transaction hides the end of the positions topic, a warning says so", async () => {
  const { name, open, warn } = await setUp();
  const hanging = testKafka().producer({
    transactionalId: `${name}-hanging`,
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await hanging.connect();
  onTestFinished(() => hanging.disconnect());
  const transaction = await hanging.transaction();
  await transaction.send({ topic: positionsTopic(name), messages: [{ key: "other", value: "x", partition: 0 }] });
  const opening = open();
  await vi.waitFor(() => expect(warn).toHaveBeenCalled(), 15_000);
  expect(warn.mock.calls[0]?.[1]).toContain("hanging transaction");
  await transaction.abort();
  await (await opening).close();
  expect(warn).toHaveBeenCalledTimes(1);
});
