import { describe, expect, test } from "vitest";
import type { DecodedRecord, FetchedBatch } from "../../src/consumers/ports.ts";
import { consumerWay, slowMicroBatches } from "../../src/consumers/slow-micro-batches.ts";
import { stageTimes } from "../../src/runtime/slow-changes.ts";
import { versionOf } from "../../src/schemas/change-event.ts";
import type { Operation } from "../../src/schemas/change-event.ts";

/** When the test's process would have begun. */
const ORIGIN_MS = 1_700_000_000_000;
const times = { beganAt: 2_000, decodedAt: 2_003, endedAt: 4_003 };
const fetches = [
  { nextOffset: 10n, at: 1_400 },
  { nextOffset: 20n, at: 1_900 },
];

/** @param second of the cluster time, after the origin */
function decoded(offset: bigint, second: number, timestampMs: number, op: Operation = "u"): DecodedRecord {
  const key = Buffer.from("secret");
  const record = { topic: "shop.shop.things", partition: 2, offset, key, value: key, headers: {}, timestampMs };
  const version = versionOf(ORIGIN_MS / 1_000 + second, 1);
  const rowSchema = { idType: "string", children: [], columns: [] } as const;
  return { record, change: { op, rowSchema, key: "secret", version, children: [], cells: null } };
}

describe("the stages of a micro-batch of the consumer", () => {
  test("cluster times have whole seconds, so the producer's stage is the time that it took at least", () => {
    const way = consumerWay({ fetches }, decoded(5n, 0, ORIGIN_MS + 1_300), times, ORIGIN_MS);
    expect(stageTimes(way)).toEqual({
      totalMs: 3_003,
      slowest: "postgres",
      stagesMs: { producer: 300, kafka: 100, queue: 600, decode: 3, postgres: 2_000 },
      skew: null,
    });
  });

  test("a record of the same second as its change shows no skew", () => {
    const way = consumerWay({ fetches }, decoded(5n, 1, ORIGIN_MS + 1_300), times, ORIGIN_MS);
    expect(stageTimes(way)).toMatchObject({ totalMs: 2_703, stagesMs: { producer: 0 }, skew: null });
  });

  test("a cluster time after the record shows that MongoDB's clock is ahead", () => {
    const way = consumerWay({ fetches }, decoded(5n, 5, ORIGIN_MS + 1_300), times, ORIGIN_MS);
    expect(stageTimes(way)).toMatchObject({ totalMs: 2_703, skew: { stage: "producer", aheadMs: 3_700 } });
  });

  test("of fetches that were joined, the one with the record counts", () => {
    const way = consumerWay({ fetches }, decoded(10n, 1, ORIGIN_MS + 1_800), times, ORIGIN_MS);
    expect(stageTimes(way)).toMatchObject({ stagesMs: { kafka: 100, queue: 100 }, skew: null });
  });
});

test("the first change of the stream counts; records of snapshots and truncates are not logged; no line has a key", () => {
  const lines: [object, string][] = [];
  const timed = slowMicroBatches({ slowMs: 0, logger: { warn: (...line) => void lines.push(line) } });
  const now = performance.now();
  const fetched = [{ nextOffset: 10n, at: now }];
  const batch = { topic: "shop.shop.things", partition: 2, fetches: fetched } as unknown as FetchedBatch;
  const applied = { beganAt: now, decodedAt: now, endedAt: now + 50 };
  const longAgo = Date.now() - 10_000;
  timed(batch, [decoded(5n, 0, longAgo, "r"), decoded(6n, 0, longAgo, "t")], applied);
  expect(lines).toEqual([]);
  timed(batch, [decoded(5n, 0, longAgo, "r"), decoded(6n, 0, longAgo)], applied);
  expect(lines).toEqual([
    [
      expect.objectContaining({ topic: "shop.shop.things", partition: 2, offset: "6", changes: 2 }),
      "slow micro-batch of the consumer",
    ],
  ]);
  expect(JSON.stringify(lines)).not.toContain("secret");
});
