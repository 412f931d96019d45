import { setTimeout as sleep } from "node:timers/promises";
import type { Message, Producer } from "kafkajs";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { followPartition, scanTopic } from "../../src/kafka/topic-reader.ts";
import type { FetchedPart } from "../../src/kafka/topic-reader.ts";
import type { FetchedRecord } from "../../src/kafka/wire/record-batch.ts";
import { connectKafka, useKafka } from "../consumers/kafka/fixture.ts";
import { apiKeys, startKafkaProxy } from "../support/kafka-proxy.ts";
import { servers, uniqueName } from "../support/servers.ts";

const fixture = useKafka();
const never = new AbortController().signal;
const doing = "testing";

async function freshTopic(partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<string> {
  const topic = `${fixture.prefix}.${uniqueName("read")}`;
  await fixture.createTopic(topic, partitions, configs);
  return topic;
}

async function scan(topic: string, kafka = fixture.kafka): Promise<FetchedRecord[]> {
  const records: FetchedRecord[] = [];
  await scanTopic(kafka, { topic, signal: never, doing }, (record) => void records.push(record));
  return records;
}

function values(records: readonly FetchedRecord[]): string[] {
  return records.map(({ value }) => String(value));
}

interface Following {
  readonly parts: AsyncGenerator<FetchedPart, never>;
  /** The values of all parts up to the one that reaches the end. */
  readonly untilEnd: () => Promise<string[]>;
}

function follow(topic: string, { from = 0n, signal = never, kafka = fixture.kafka } = {}): Following {
  const parts = followPartition(kafka, { topic, partition: 0, from, signal, doing });
  const untilEnd = async (): Promise<string[]> => {
    const read: string[] = [];
    for (;;) {
      const { value: part } = await parts.next();
      read.push(...values(part.records));
      if (part.nextOffset >= part.stableEnd) return read;
    }
  };
  onTestFinished(async () => {
    await parts.return(undefined as never);
  });
  return { parts, untilEnd };
}

async function transactionalProducer(): Promise<Producer> {
  const producer = fixture.kafka.producer({
    transactionalId: uniqueName("tx"),
    maxInFlightRequests: 1,
    idempotent: true,
  });
  await producer.connect();
  onTestFinished(() => producer.disconnect());
  return producer;
}

describe("a scan", () => {
  test("visits all records of all partitions, each with its place, its time and its headers", async () => {
    const topic = await freshTopic(3);
    const messages: Message[] = Array.from({ length: 30 }, (_, n) => ({
      partition: n % 2,
      key: n % 5 === 0 ? null : `k${n}`,
      value: n % 7 === 0 ? null : `v${n}`,
      timestamp: String(1_700_000_000_000 + n),
      headers: { n: String(n), ...(n % 3 === 0 ? { more: "x" } : {}) },
    }));
    await fixture.publish(topic, messages);
    const records = await scan(topic);
    for (const partition of [0, 1, 2]) {
      const sent = messages.filter((message) => message.partition === partition);
      expect(records.filter((record) => record.partition === partition)).toEqual(
        sent.map(({ key, value, timestamp, headers }, index) => ({
          topic,
          partition,
          offset: BigInt(index),
          key: key === null ? null : Buffer.from(String(key)),
          value: value === null ? null : Buffer.from(String(value)),
          timestampMs: Number(timestamp),
          headers: Object.fromEntries(
            Object.entries(headers ?? {}).map(([name, text]) => [name, Buffer.from(String(text))]),
          ),
        })),
      );
    }
  });

  test("of an empty topic, and of none, visits nothing", async () => {
    expect(await scan(await freshTopic(2))).toEqual([]);
    expect(await scan(`${fixture.prefix}.${uniqueName("none")}`)).toEqual([]);
  });

  test("ends behind aborted transactions and their markers", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }]);
    await fixture.publish(topic, [{ value: "never" }], "abort");
    expect(values(await scan(topic))).toEqual(["a"]);
    const onlyAborted = await freshTopic();
    await fixture.publish(onlyAborted, [{ value: "never" }], "abort");
    expect(await scan(onlyAborted)).toEqual([]);
  });

  test("ends where a hanging transaction begins", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }]);
    const hanging = await (await transactionalProducer()).transaction();
    await hanging.send({ topic, messages: [{ value: "open" }] });
    const other = fixture.kafka.producer();
    await other.connect();
    await other.send({ topic, messages: [{ value: "behind it" }] });
    await other.disconnect();
    expect(values(await scan(topic))).toEqual(["a"]);
    await hanging.commit();
    await vi.waitFor(async () => expect(values(await scan(topic))).toEqual(["a", "open", "behind it"]), 10_000);
  });

  test("ends at the end that the topic had at the call, and waits for each visit", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }, { value: "b" }]);
    const visits: string[] = [];
    let isVisiting = false;
    await scanTopic(fixture.kafka, { topic, signal: never, doing }, async ({ value }) => {
      expect(isVisiting).toBe(false);
      isVisiting = true;
      visits.push(String(value));
      await fixture.publish(topic, [{ value: "new" }]);
      isVisiting = false;
    });
    expect(visits).toEqual(["a", "b"]);
  });

  test("begins where retention has left the topic's start, and knows a topic whose records are all gone", async () => {
    const topic = await freshTopic();
    const producer = fixture.kafka.producer();
    await producer.connect();
    await producer.send({ topic, messages: ["a", "b", "c"].map((value) => ({ value })) });
    await producer.disconnect();
    await fixture.deleteRecords(topic, 2n);
    expect(await scan(topic)).toMatchObject([{ offset: 2n, value: Buffer.from("c") }]);
    await fixture.deleteRecords(topic, 3n);
    expect(await scan(topic)).toEqual([]);
  });

  test("passes the holes of a compacted topic", async () => {
    const topic = await freshTopic(1, {
      "cleanup.policy": "compact",
      "segment.ms": "100",
      "min.cleanable.dirty.ratio": "0.001",
      "delete.retention.ms": "100",
    });
    for (const value of ["old", "new"]) await fixture.publish(topic, [{ key: "a", value }]);
    const read = async (): Promise<string[]> => {
      // The newest segment is never compacted; this begins another.
      await fixture.publish(topic, [{ key: "b", value: "last" }]);
      return values(await scan(topic));
    };
    await expect.poll(read, { timeout: 120_000, interval: 2_000 }).not.toContain("old");
    expect(await read()).toEqual(expect.arrayContaining(["new", "last"]));
  });

  test("rejects with what a visit throws, or with the signal's reason", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }, { value: "b" }]);
    const bug = new TypeError("no");
    await expect(scanTopic(fixture.kafka, { topic, signal: never, doing }, () => Promise.reject(bug))).rejects.toBe(
      bug,
    );
    const stop = new AbortController();
    const visit = vi.fn<() => void>(() => stop.abort("enough"));
    await expect(scanTopic(fixture.kafka, { topic, signal: stop.signal, doing }, visit)).rejects.toBe("enough");
    expect(visit).toHaveBeenCalledTimes(1);
  });

  test("asks nothing of consumer groups and leaves none", async () => {
    const proxy = await startKafkaProxy(servers().kafkaBrokers);
    onTestFinished(() => proxy.close());
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }]);
    expect(values(await scan(topic, connectKafka(proxy.brokers)))).toEqual(["a"]);
    expect(proxy.requestCount(apiKeys.fetch)).toBeGreaterThan(0);
    for (const key of [apiKeys.findCoordinator, apiKeys.joinGroup, apiKeys.offsetCommit]) {
      expect(proxy.requestCount(key)).toBe(0);
    }
  });
});

describe("following a partition", () => {
  test("says when the end is reached, and gives what is written afterwards", async () => {
    const topic = await freshTopic();
    const { parts, untilEnd } = follow(topic);
    expect(await untilEnd()).toEqual([]);
    await fixture.publish(topic, [{ value: "a" }, { value: "b" }]);
    const read: string[] = [];
    while (read.length < 2) read.push(...values((await parts.next()).value.records));
    expect(read).toEqual(["a", "b"]);
    expect(await follow(topic, { from: 1n }).untilEnd()).toEqual(["b"]);
  });

  test("is at the end before an open transaction, and gives it once it is committed", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }]);
    const open = await (await transactionalProducer()).transaction();
    await open.send({ topic, messages: [{ value: "b" }] });
    const { parts, untilEnd } = follow(topic);
    expect(await untilEnd()).toEqual(["a"]);
    expect((await parts.next()).value).toMatchObject({ records: [], nextOffset: 2n, stableEnd: 2n });
    await open.commit();
    const read: string[] = [];
    while (read.length === 0) read.push(...values((await parts.next()).value.records));
    expect(read).toEqual(["b"]);
  });

  test("is not at the end while it reads what does not fit in one response", async () => {
    const topic = await freshTopic();
    const value = "x".repeat(600_000);
    for (let n = 0; n < 4; n++) await fixture.publish(topic, [{ value: `${n}${value}` }]);
    const { parts } = follow(topic);
    const ends: boolean[] = [];
    const read: string[] = [];
    while (ends.at(-1) !== true) {
      const { records, nextOffset, stableEnd } = (await parts.next()).value;
      read.push(...values(records).map((text) => text.charAt(0)));
      ends.push(nextOffset >= stableEnd);
    }
    expect(read).toEqual(["0", "1", "2", "3"]);
    expect(ends.length).toBeGreaterThan(1);
  });

  test("reads the next part only when it is wanted", async () => {
    const proxy = await startKafkaProxy(servers().kafkaBrokers);
    onTestFinished(() => proxy.close());
    const topic = await freshTopic();
    const { parts } = follow(topic, { kafka: connectKafka(proxy.brokers) });
    await parts.next();
    const count = proxy.requestCount(apiKeys.fetch);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(proxy.requestCount(apiKeys.fetch)).toBe(count);
  });

  test("begins at the log's start where its first records are gone, before and while it reads", async () => {
    const topic = await freshTopic();
    const producer = fixture.kafka.producer();
    await producer.connect();
    const write = (...texts: string[]) => producer.send({ topic, messages: texts.map((value) => ({ value })) });
    await write("a", "b", "c");
    await fixture.deleteRecords(topic, 1n);
    const { parts, untilEnd } = follow(topic);
    const first = (await parts.next()).value;
    expect([first.logStart, values(first.records)]).toEqual([1n, ["b", "c"]]);
    await write("d", "e");
    await fixture.deleteRecords(topic, 4n);
    expect(await untilEnd()).toEqual(["e"]);
    await producer.disconnect();
  });

  test("loses and repeats nothing where connections break within responses", async () => {
    const proxy = await startKafkaProxy(servers().kafkaBrokers);
    onTestFinished(() => proxy.close());
    const topic = await freshTopic();
    const written = Array.from({ length: 10 }, (_, n) => `${n}${"x".repeat(300_000)}`);
    for (const value of written) await fixture.publish(topic, [{ value }]);
    let responses = 0;
    proxy.setVerdict((apiKey) => (apiKey === apiKeys.fetch && ++responses % 2 === 1 ? "break" : "pass"));
    const { untilEnd } = follow(topic, { kafka: connectKafka(proxy.brokers) });
    expect(await untilEnd()).toEqual(written);
    expect(proxy.lostCount(apiKeys.fetch)).toBeGreaterThan(1);
  });

  test("ends with the signal's reason", async () => {
    const topic = await freshTopic();
    const stop = new AbortController();
    const { parts, untilEnd } = follow(topic, { signal: stop.signal });
    await untilEnd();
    const waiting = parts.next();
    stop.abort("enough");
    await expect(waiting).rejects.toBe("enough");
  });

  test("ends at once, also while the broker does not answer", async () => {
    const topic = await freshTopic();
    const proxy = await startKafkaProxy(servers().kafkaBrokers);
    onTestFinished(() => proxy.close());
    const stop = new AbortController();
    const { parts, untilEnd } = follow(topic, { signal: stop.signal, kafka: connectKafka(proxy.brokers) });
    await untilEnd();
    proxy.pauseRequests();
    const waiting = parts.next();
    stop.abort("enough");
    // Shorter than the patience with a broker.
    const end = await Promise.race([waiting.catch((reason: unknown) => reason), sleep(5_000, "late")]);
    expect(end).toBe("enough");
  });

  test("of a topic that does not exist fails with a retryable error, in the end", async () => {
    const topic = `${fixture.prefix}.${uniqueName("none")}`;
    const { parts } = follow(topic);
    const message = expect.stringContaining(topic) as string;
    await expect(parts.next()).rejects.toMatchObject({ code: "KAFKA_TOPIC_MISSING", kind: "retryable", message });
  });
});
