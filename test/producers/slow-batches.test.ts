import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SourceBatch } from "../../src/producers/ports.ts";
import { contentsOf, producerWay, slowBatches } from "../../src/producers/slow-batches.ts";
import { stageTimes } from "../../src/runtime/slow-changes.ts";

/** When the test's process would have begun. */
const ORIGIN_MS = 1_700_000_000_000;
const published = { beganAt: 130, encodedAt: 133, commitMs: 5, endedAt: 150 };

describe("the stages of a batch of the producer", () => {
  test("a change that was committed during the read has waited for nothing", () => {
    const read = { committedMs: ORIGIN_MS + 100, beganAt: 20, answeredAt: 110, endedAt: 125 };
    expect(stageTimes(producerWay(read, published, ORIGIN_MS))).toEqual({
      totalMs: 50,
      slowest: "documents",
      stagesMs: { wait: 0, stream: 10, documents: 15, queue: 5, encode: 3, produce: 12, commit: 5 },
      skew: null,
    });
  });

  test("a change that was committed before the read began has waited for it", () => {
    const read = { committedMs: ORIGIN_MS, beganAt: 80, answeredAt: 110, endedAt: 125 };
    expect(stageTimes(producerWay(read, published, ORIGIN_MS))).toMatchObject({
      totalMs: 150,
      slowest: "wait",
      stagesMs: { wait: 80, stream: 30 },
    });
  });

  test("a clock of MongoDB that is ahead shows as skew and leaves the later stages as they are", () => {
    fc.assert(
      fc.property(fc.integer({ min: 111, max: 1_000_000 }), (aheadMs) => {
        const read = { committedMs: ORIGIN_MS + aheadMs, beganAt: 80, answeredAt: 110, endedAt: 125 };
        const { totalMs, stagesMs, skew } = stageTimes(producerWay(read, published, ORIGIN_MS));
        expect(skew).toEqual({ stage: "stream", aheadMs: aheadMs - 110 });
        expect(stagesMs).toEqual({ wait: 0, stream: 0, documents: 15, queue: 5, encode: 3, produce: 12, commit: 5 });
        expect(totalMs).toBe(40);
      }),
    );
  });
});

test("a line counts changes by collection and operation, and names at most ten collections", () => {
  const events = [
    { collection: "cities", op: "u" as const },
    ...Array.from({ length: 3 }, () => ({ collection: "movies", op: "c" as const })),
    { collection: "movies", op: "d" as const },
  ];
  expect(contentsOf(events)).toEqual({
    changes: 5,
    collections: [
      { collection: "movies", c: 3, d: 1 },
      { collection: "cities", u: 1 },
    ],
  });
  const many = Array.from({ length: 12 }, (_, index) => ({ collection: `c${index}`, op: "u" as const }));
  expect(contentsOf(many)).toMatchObject({ changes: 12, moreCollections: 2, collections: { length: 10 } });
});

test("batches of snapshots and batches without changes are not logged", () => {
  const lines: string[] = [];
  const timed = slowBatches({ slowMs: 0, logger: { warn: (_, message) => void lines.push(message) } });
  const position = {} as SourceBatch["position"];
  const event = { op: "d", collection: "cities", documentKey: Buffer.of(), document: null, version: 1n } as const;
  const read = { committedMs: Date.now() - 1_000, beganAt: 1, answeredAt: 2, endedAt: 3 };
  timed({ events: [], position, read }, published);
  timed({ events: [event], position }, published);
  expect(lines).toEqual([]);
  timed({ events: [event], position, read }, { ...published, endedAt: performance.now() });
  expect(lines).toEqual(["slow batch of the producer"]);
});
