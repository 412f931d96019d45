import { expect, onTestFinished, test } from "vitest";
import type { FetchedBatch } from "../../../src/consumers/ports.ts";
import { partitionKey } from "../../../src/schemas/partitions.ts";
import { startKafkaProxy } from "../../support/kafka-proxy.ts";
import { servers, uniqueName } from "../../support/servers.ts";
import { connectKafka, useKafka } from "./fixture.ts";
import { MemoryProgress } from "./memory-progress.ts";
import { sessionTimeoutMs, until, useReader } from "./reader.ts";

const fixture = useKafka();
const { startReading, freshTopic } = useReader(fixture);
const ASSIGNED = "partitions assigned";

test("a member stays in the group while a batch takes longer than the session timeout", async () => {
  const topic = await freshTopic();
  await fixture.publish(topic, [{ value: "a" }]);
  const progress = new MemoryProgress();
  let begunAt = Infinity;
  const release = Promise.withResolvers<void>();
  progress.work = () => {
    begunAt = performance.now();
    return release.promise;
  };
  const reading = startReading(progress, topic);
  // The coordinator forgets a silent member after that time: there is no other sign of not being forgotten.
  await until(() => expect(performance.now() - begunAt).toBeGreaterThan(1.4 * sessionTimeoutMs));
  release.resolve();
  await until(() => expect(progress.values()).toEqual(["a"]));
  await fixture.publish(topic, [{ value: "b" }]);
  await until(() => expect(progress.values()).toEqual(["a", "b"]));
  expect(reading.count(ASSIGNED)).toBe(1);
});

test("a member stays in the group while reading the stored offsets takes longer than the session timeout", async () => {
  const topic = await freshTopic();
  await fixture.publish(topic, [{ value: "a" }]);
  const progress = new MemoryProgress();
  const { startOffsets } = progress;
  let begunAt = Infinity;
  const release = Promise.withResolvers<void>();
  progress.startOffsets = async (partitions) => {
    begunAt = Math.min(begunAt, performance.now());
    await release.promise;
    return startOffsets(partitions);
  };
  const reading = startReading(progress, topic);
  await until(() => expect(performance.now() - begunAt).toBeGreaterThan(1.4 * sessionTimeoutMs));
  release.resolve();
  await until(() => expect(progress.values()).toEqual(["a"]));
  expect(reading.count(ASSIGNED)).toBe(1);
});

test("no records are lost, and no offset falls, when partitions move between members", async () => {
  const topic = await freshTopic(4);
  const groupId = `${fixture.prefix}.${uniqueName("group")}`;
  // What both store in, as they do in one database.
  const progress = new MemoryProgress();
  const published: number[] = [];
  const publish = async (): Promise<void> => {
    const numbers = Array.from({ length: 40 }, (_, index) => published.length + index);
    published.push(...numbers);
    await fixture.publish(
      topic,
      numbers.map((number) => ({ partition: number % 4, value: String(number) })),
    );
  };
  const read = () => progress.values().map(Number);
  const allRead = () => until(() => expect(read().toSorted((a, b) => a - b)).toEqual(published));

  await publish();
  const first = startReading(progress, topic, { groupId });
  await allRead();
  const second = startReading(progress, topic, { groupId });
  while (second.count(ASSIGNED) === 0) await publish();
  await allRead();
  const firstStopped = first.stop();
  await publish();
  await firstStopped;
  const third = startReading(progress, topic, { groupId });
  while (third.count(ASSIGNED) === 0) await publish();
  await allRead();

  for (const partition of [0, 1, 2, 3]) {
    const numbers = read().filter((number) => number % 4 === partition);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  }
});

test("reading resumes after all connections to Kafka broke", async () => {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  const topic = await freshTopic();
  await fixture.publish(topic, [{ value: "a" }]);
  const progress = new MemoryProgress();
  const reading = startReading(progress, topic, { kafka: connectKafka(proxy.brokers) });
  await until(() => expect(progress.values()).toEqual(["a"]));
  proxy.cut();
  await fixture.publish(topic, [{ value: "b" }]);
  await until(() => expect(reading.lines.some(({ fields }) => "err" in fields)).toBe(true));
  proxy.restore();
  await until(() => expect(progress.values()).toEqual(["a", "b"]));
});

/** A member with a batch in work, whose connections to Kafka have been cut for so long that it knows. */
async function loseMembership() {
  const proxy = await startKafkaProxy(servers().kafkaBrokers);
  onTestFinished(() => proxy.close());
  const topic = await freshTopic();
  await fixture.publish(topic, [{ value: "a" }]);
  const progress = new MemoryProgress();
  const begun = Promise.withResolvers<FetchedBatch>();
  const release = Promise.withResolvers<void>();
  progress.work = (batch) => {
    begun.resolve(batch);
    return release.promise;
  };
  const reading = startReading(progress, topic, { kafka: connectKafka(proxy.brokers) });
  const batch = await begun.promise;
  proxy.cut();
  await until(() => expect(batch.signal.aborted).toBe(true));
  return { proxy, topic, progress, reading, batch, release };
}

test("a batch that ends after the member has left the group does not fail the run", async () => {
  const { proxy, topic, progress, release } = await loseMembership();
  release.resolve();
  await until(() => expect(progress.values()).toEqual(["a"]));
  proxy.restore();
  await fixture.publish(topic, [{ value: "b" }]);
  await until(() => expect(progress.values()).toEqual(["a", "b"]));
});

test("a stop while offsets are read after the member has left the group is no failure", async () => {
  const { progress, reading, batch, release } = await loseMembership();
  const asked = Promise.withResolvers<void>();
  progress.startOffsets = (_partitions, within) => {
    asked.resolve();
    return new Promise((_resolve, reject) => {
      const stop = () => reject(within?.reason as Error);
      if (within?.aborted === true) stop();
      else within?.addEventListener("abort", stop);
    });
  };
  // Somebody else has moved the offset: it is read again.
  progress.offsets.set(partitionKey(batch), 1n);
  release.resolve();
  await asked.promise;
  await reading.stop();
});
