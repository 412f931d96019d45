import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { LostRecords } from "../../../src/consumers/ports.ts";
import { partitionKey } from "../../../src/schemas/partitions.ts";
import { uniqueName } from "../../support/servers.ts";
import { connectKafka, useKafka } from "./fixture.ts";
import { MemoryProgress } from "./memory-progress.ts";
import { until, useReader } from "./reader.ts";

const fixture = useKafka();
const { prefix } = fixture;
const { startReading, freshTopic, groupOffset } = useReader(fixture);

describe("what it reads", () => {
  test("reads committed transactions in order, and its offsets pass the control records at the end", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }, { value: "b" }]);
    await fixture.publish(topic, [{ value: "never" }], "abort");
    await fixture.publish(topic, [{ value: "c" }]);
    const end = await fixture.endOffset(topic);
    const progress = new MemoryProgress();
    const { groupId } = startReading(progress, topic);
    await until(() => expect(progress.offset({ topic, partition: 0 })).toBe(end));
    expect(progress.values()).toEqual(["a", "b", "c"]);
    await until(async () => expect(await groupOffset(groupId, topic)).toBe(end));
  });

  test("passes control records that are fetched alone", async () => {
    const topic = await freshTopic();
    const value = randomBytes(100_000);
    await fixture.publish(topic, [{ value }]);
    await fixture.publish(topic, [{ value }], "abort");
    const end = await fixture.endOffset(topic);
    const progress = new MemoryProgress();
    const batches: number[] = [];
    progress.work = (batch) => {
      batches.push(batch.records.length);
      return Promise.resolve();
    };
    // The broker gives one batch of records at least; the transaction's marker no longer fits.
    const { groupId } = startReading(progress, topic, { maxBytes: 50_000, maxBytesPerPartition: 50_000 });
    await until(() => expect(progress.offset({ topic, partition: 0 })).toBe(end));
    expect(batches.filter((records) => records === 0).length).toBeGreaterThan(0);
    await until(async () => expect(await groupOffset(groupId, topic)).toBe(end));
  });

  test("reads keys, values, headers and times as they are in Kafka", async () => {
    const topic = await freshTopic();
    const key = randomBytes(8);
    await fixture.publish(topic, [{ key, value: null, headers: { kind: "tombstone" }, timestamp: "1700000000000" }]);
    const progress = new MemoryProgress();
    startReading(progress, topic);
    await until(() => expect(progress.received).toHaveLength(1));
    expect(progress.received[0]).toEqual({
      topic,
      partition: 0,
      offset: 0n,
      key,
      value: null,
      headers: { kind: Buffer.from("tombstone") },
      timestampMs: 1_700_000_000_000,
    });
  });

  test("reads a record of 16 MB, though a fetch is far smaller", async () => {
    const topic = await freshTopic(1, { "max.message.bytes": String(20 * 1024 * 1024) });
    await fixture.publish(topic, [{ value: "before" }]);
    await fixture.publish(topic, [{ value: randomBytes(16 * 1024 * 1024) }]);
    await fixture.publish(topic, [{ value: "after" }]);
    const progress = new MemoryProgress();
    startReading(progress, topic);
    await until(() => expect(progress.received.map(({ value }) => value?.length)).toEqual([6, 16 * 1024 * 1024, 5]));
  });
});

describe("where it starts", () => {
  test.each([
    ["deleted", undefined],
    ["behind", "0"],
    ["ahead", "4"],
  ])("starts at the stored offset, with the group's own offset %s", async (_, offset) => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }, { value: "b" }, { value: "c" }]);
    const groupId = `${prefix}.${uniqueName("group")}`;
    if (offset !== undefined) {
      await fixture.admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset }] });
    }
    const progress = new MemoryProgress();
    progress.offsets.set(`${topic}/0`, 1n);
    startReading(progress, topic, { groupId });
    await until(() => expect(progress.values()).toEqual(["b", "c"]));
  });

  test("starts again at the stored offset if that was set back during reading", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }, { value: "b" }]);
    const progress = new MemoryProgress();
    startReading(progress, topic);
    await until(() => expect(progress.values()).toEqual(["a", "b"]));
    progress.offsets.set(`${topic}/0`, 1n);
    await fixture.publish(topic, [{ value: "c" }]);
    await until(() => expect(progress.values()).toEqual(["a", "b", "b", "c"]));
  });

  test("fails with a stored offset below the log's start", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }, { value: "b" }, { value: "c" }]);
    await fixture.deleteRecords(topic, 2n);
    const progress = new MemoryProgress();
    const { running } = startReading(progress, topic);
    await expect(running).rejects.toMatchObject({ code: "HISTORY_LOST_IN_KAFKA", kind: "fatal" });
    expect(progress.received).toEqual([]);
  });

  test("reports the lost records of all partitions at once, and then resumes at the logs' starts", async () => {
    const topic = await freshTopic(2);
    const both = (text: string) => [0, 1].map((partition) => ({ value: `${text}${partition}`, partition }));
    for (const text of ["a", "b", "c"]) await fixture.publish(topic, both(text));
    for (const partition of [0, 1]) await fixture.deleteRecords(topic, 4n, partition);
    const progress = new MemoryProgress();
    const told = letGo(progress);
    startReading(progress, topic);
    await until(() => expect(progress.values().toSorted()).toEqual(["c0", "c1"]));
    expect(told).toEqual([[0, 1].map((partition) => ({ topic, partition, storedOffset: 0n, logStart: 4n }))]);
  });

  test("fails with a stored offset beyond the log's end", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }]);
    const progress = new MemoryProgress();
    progress.offsets.set(`${topic}/0`, 3n);
    const { running } = startReading(progress, topic);
    await expect(running).rejects.toMatchObject({ code: "TOPIC_RECREATED", kind: "fatal" });
  });

  test("notices records that Kafka deletes during processing, though kafkajs resumes at the log's start", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: randomBytes(1_000) }]);
    await fixture.publish(topic, [{ value: randomBytes(1_000) }]);
    await fixture.publish(topic, [{ value: randomBytes(1_000) }]);
    const progress = new MemoryProgress();
    progress.work = () => fixture.deleteRecords(topic, 5n);
    const { running } = startReading(progress, topic, { maxBytes: 500, maxBytesPerPartition: 500, readAheadBytes: 0 });
    await expect(running).rejects.toMatchObject({ code: "HISTORY_LOST_IN_KAFKA" });
    expect(progress.received).toHaveLength(1);
  });

  test("skips no remaining record when records may be lost", async () => {
    const topic = await freshTopic();
    const values = Array.from({ length: 5 }, (_, n) => `${n}${"x".repeat(1_000)}`);
    for (const value of values) await fixture.publish(topic, [{ value }]);
    const progress = new MemoryProgress();
    const told = letGo(progress);
    progress.work = async () => {
      if (progress.received.length === 0) await fixture.deleteRecords(topic, 6n);
    };
    startReading(progress, topic, { maxBytes: 500, maxBytesPerPartition: 500, readAheadBytes: 0 });
    await until(() => expect(progress.values()).toEqual([values[0], ...values.slice(3)]));
    expect(told).toMatchObject([[{ topic, partition: 0, logStart: 6n }]]);
  });

  test("passes a hole that compaction has left", async () => {
    const topic = await freshTopic(1, {
      "cleanup.policy": "compact",
      "segment.ms": "100",
      "min.cleanable.dirty.ratio": "0.001",
      "delete.retention.ms": "100",
    });
    for (const value of ["old", "new"]) await fixture.publish(topic, [{ key: "a", value }]);
    const read = async (): Promise<string[]> => {
      // The newest segment is never compacted; this begins another.
      const last = uniqueName("last");
      await fixture.publish(topic, [{ key: "b", value: last }]);
      const progress = new MemoryProgress();
      const reading = startReading(progress, topic);
      await until(() => expect(progress.values()).toContain(last));
      await reading.stop();
      return progress.values();
    };
    await expect.poll(read, { timeout: 120_000, interval: 2_000 }).not.toContain("old");
    expect(await read()).toContain("new");
  });
});

/** Lets what is lost be lost. Gives what it was told. */
function letGo(progress: MemoryProgress): (readonly LostRecords[])[] {
  const told: (readonly LostRecords[])[] = [];
  progress.recordsLost = async (lost) => {
    told.push(lost);
    for (const each of lost) progress.offsets.set(partitionKey(each), each.logStart);
  };
  return told;
}

describe("how it ends", () => {
  test("a TypeError during processing ends the run with that error", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }]);
    const progress = new MemoryProgress();
    const bug = new TypeError("x is not a function");
    progress.work = () => Promise.reject(bug);
    const { running } = startReading(progress, topic);
    await expect(running).rejects.toBe(bug);
  });

  test("an error while reading the stored offsets ends the run with that error", async () => {
    const topic = await freshTopic();
    const progress = new MemoryProgress();
    const bug = new RangeError("no such offset");
    progress.startOffsets = () => Promise.reject(bug);
    const { running } = startReading(progress, topic);
    await expect(running).rejects.toBe(bug);
  });

  test("a stop lets the batch in processing end and be committed", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }]);
    const progress = new MemoryProgress();
    const begun = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    progress.work = () => {
      begun.resolve();
      return finish.promise;
    };
    const { stop, groupId } = startReading(progress, topic);
    await begun.promise;
    const stopped = stop();
    finish.resolve();
    await stopped;
    expect(progress.values()).toEqual(["a"]);
    expect(await groupOffset(groupId, topic)).toBe(progress.offset({ topic, partition: 0 }));
  });

  test("work that a stop interrupts is no error", async () => {
    const topic = await freshTopic();
    await fixture.publish(topic, [{ value: "a" }]);
    const progress = new MemoryProgress();
    const begun = Promise.withResolvers<void>();
    progress.work = ({ signal }) => {
      begun.resolve();
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    };
    const { stop } = startReading(progress, topic);
    await begun.promise;
    await stop();
    expect(progress.received).toEqual([]);
  });

  test("a missing broker is waited for until the stop", async () => {
    const progress = new MemoryProgress();
    const { stop, lines } = startReading(progress, "none", { kafka: connectKafka("127.0.0.1:1") });
    await until(() => expect(lines[0]?.fields).toMatchObject({ err: { code: "KAFKA_UNAVAILABLE" } }));
    await stop();
  });
});

describe("topics", () => {
  test("missing topics are waited for, and logged once", async () => {
    const topic = `${prefix}.shop.${uniqueName("late")}`;
    const progress = new MemoryProgress();
    const { lines } = startReading(progress, topic);
    await until(() => expect(lines).toHaveLength(1));
    expect(lines[0]).toEqual({ fields: { topics: [topic] }, message: "waiting for the producer to create the topics" });
    await fixture.createTopic(topic);
    await fixture.publish(topic, [{ value: "a" }]);
    await until(() => expect(progress.values()).toEqual(["a"]));
    expect(lines.filter(({ message }) => message.startsWith("waiting"))).toHaveLength(1);
  });

  test("an expected topic that never appears is waited for only once", async () => {
    const name = uniqueName("part");
    const [there, missing] = [`${prefix}.${name}.there`, `${prefix}.${name}.missing`];
    const topics = { includes: (each: string) => each.startsWith(`${prefix}.${name}.`), expected: [there, missing] };
    await fixture.createTopic(there);
    await fixture.publish(there, [{ value: "a" }]);
    const progress = new MemoryProgress();
    const { lines } = startReading(progress, there, { topics });
    await until(() => expect(progress.values()).toEqual(["a"]));
    expect(lines[0]?.message).toBe("waiting for the producer to create the topics");
  });

  test("topics that are created later are read too, and deleted ones do no harm", async () => {
    const name = uniqueName("many");
    const topics = { includes: (each: string) => each.startsWith(`${prefix}.${name}.`), expected: [] };
    const [first, second] = [`${prefix}.${name}.first`, `${prefix}.${name}.second`];
    await fixture.createTopic(first);
    await fixture.publish(first, [{ value: "a" }]);
    const progress = new MemoryProgress();
    startReading(progress, first, { topics });
    await until(() => expect(progress.values()).toEqual(["a"]));
    await fixture.createTopic(second);
    await fixture.publish(second, [{ value: "b" }]);
    await until(() => expect(progress.values()).toEqual(["a", "b"]));
    await fixture.admin.deleteTopics({ topics: [first] });
    await fixture.publish(second, [{ value: "c" }]);
    await until(() => expect(progress.values()).toEqual(["a", "b", "c"]));
  });
});
