import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BatchLimits } from "../../../src/producers/records/batch-limits.ts";
import { batchBytes } from "../../../src/producers/records/batch-records.ts";
import type { TopicRecord } from "../../../src/producers/records/batch-records.ts";

const CONFIGURED = 10_000_000;

const recordsArbitrary: fc.Arbitrary<TopicRecord[]> = fc.array(
  fc
    .record({ topic: fc.constantFrom("a", "b"), partition: fc.nat(2), bytes: fc.oneof(fc.nat(300), fc.nat(200_000)) })
    .map(({ topic, partition, bytes }) => ({
      topic,
      partition,
      key: Buffer.from("key"),
      // Only the size matters. Equal bytes keep a counterexample readable.
      value: { byteLength: bytes } as Buffer,
      timestampMs: 0,
    })),
  { minLength: 1, maxLength: 60 },
);

function limitsOf(...topics: readonly string[]): BatchLimits {
  const limits = new BatchLimits();
  for (const topic of topics) limits.set(topic, CONFIGURED);
  return limits;
}

/** Sends until a broker with these limits has accepted all records, except those known to be too large. */
function send(
  limits: BatchLimits,
  records: readonly TopicRecord[],
  brokerLimits: Readonly<Record<string, number>>,
  configured: ReadonlyMap<string, number> = new Map(),
): { taken: readonly TopicRecord[]; refusals: number } {
  for (let refusals = 0; ; refusals++) {
    if (refusals > 10_000) throw new Error("it goes on for ever");
    const possible = records.filter((record) => batchBytes([record]) <= limits.of(record.topic));
    const requests = [...limits.requests(possible)];
    const refused = requests.find((request) =>
      [...Map.groupBy(request, ({ topic, partition }) => `${topic}/${partition}`).values()].some(
        (batch) => batchBytes(batch) > (brokerLimits[batch[0]?.topic ?? ""] ?? Infinity),
      ),
    );
    if (refused === undefined) return { taken: requests.flat(), refusals };
    expect(limits.refused(refused, configured)).toBe(true);
  }
}

test("for any limit of a broker, only records that are too large by themselves are left out", () => {
  fc.assert(
    fc.property(recordsArbitrary, fc.integer({ min: 200, max: 500_000 }), (records, limit) => {
      const { taken } = send(limitsOf("a", "b"), records, { a: limit });
      const expected = records.filter((record) => record.topic === "b" || batchBytes([record]) <= limit);
      expect(new Set(taken)).toEqual(new Set(expected));
      const order = (some: readonly TopicRecord[]) => Map.groupBy(some, ({ topic, partition }) => topic + partition);
      for (const [partition, ofPartition] of order(expected)) expect(order(taken).get(partition)).toEqual(ofPartition);
    }),
  );
});

test("a limit that was lowered in the topic's configuration is learned from the first refusal", () => {
  fc.assert(
    fc.property(recordsArbitrary, fc.integer({ min: 200, max: 500_000 }), (records, limit) => {
      const limits = limitsOf("a", "b");
      expect(send(limits, records, { a: limit }, new Map([["a", limit]])).refusals).toBeLessThanOrEqual(1);
    }),
  );
});

test("other requests do not help when a topic of Headrace's own refuses a record", () => {
  const record = { topic: "positions", partition: 0, key: null, value: Buffer.alloc(1_000), timestampMs: 0 };
  expect(limitsOf("a").refused([record], new Map())).toBe(false);
});

test("transactions are as large as a batch until one takes too long; then they are smaller, and grow again", () => {
  const limits = new BatchLimits();
  const value = Buffer.alloc(1_000);
  const records = Array.from({ length: 16 }, (_, index): TopicRecord => {
    return { topic: "a", partition: index % 2, key: null, value, timestampMs: 0 };
  });
  const sizes = (): number[] => [...limits.transactions(records)].map(({ length }) => length);
  expect(sizes()).toEqual([16]);
  limits.tookTooLong(records);
  expect(sizes()).toEqual([8, 8]);
  limits.tookTooLong(records.slice(8));
  expect(sizes()).toEqual([4, 4, 4, 4]);
  expect([...limits.transactions(records)].flat()).toEqual(records);
  limits.tookTooLong(records.slice(15));
  expect(sizes()).toEqual(records.map(() => 1));
  for (let times = 0; times < 40; times++) limits.tookShort();
  expect(sizes()).toEqual([16]);
  expect([...limits.transactions([])]).toEqual([[]]);
});
