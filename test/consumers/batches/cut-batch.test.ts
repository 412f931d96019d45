import * as fc from "fast-check";
import { expect, test } from "vitest";
import { cutBatch } from "../../../src/consumers/batches/cut-batch.ts";
import type { LogRecord } from "../../../src/consumers/ports.ts";
import { OLD_TRUNCATE_KEY } from "../../../src/schemas/topics.ts";

const sizes = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 });

test("slices hold every record in order, without gaps, within the limits", () => {
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 120 }),
      (given, maxRows, maxBytes) => {
        const records = given.map(record);
        const end = BigInt(given.length * 2);
        const slices = [...cutBatch(records, end, { maxRows, maxBytes })];

        expect(slices.flatMap((slice) => slice.records)).toEqual(records);
        expect(slices.at(-1)?.nextOffset).toBe(end);
        for (const [index, slice] of slices.entries()) {
          const following = slices[index + 1];
          if (following !== undefined) expect(slice.nextOffset).toBe(following.records[0]?.offset);
          expect(slice.records.length).toBeLessThanOrEqual(maxRows);
          const bytes = slice.records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
          if (slice.records.length > 1) expect(bytes).toBeLessThanOrEqual(maxBytes);
        }
      },
    ),
  );
});

test("a slice ends only where a limit would be exceeded", () => {
  const records = [10, 10, 10].map(record);
  expect([...cutBatch(records, 6n, { maxRows: 3, maxBytes: 30 })]).toHaveLength(1);
  expect([...cutBatch(records, 6n, { maxRows: 2, maxBytes: 30 })]).toHaveLength(2);
  expect([...cutBatch(records, 6n, { maxRows: 3, maxBytes: 29 })]).toHaveLength(2);
});

test.each([
  ["a truncate", Buffer.from([0, 0, 0, 0, 8, 0])],
  ["a truncate of version 0.1.0", OLD_TRUNCATE_KEY],
])("%s starts a slice", (_, key) => {
  const truncate = (index: number) => ({ ...record(1, index), key });
  const records = [record(1, 0), record(1, 1), truncate(2), record(1, 3), truncate(4), truncate(5)];
  const slices = [...cutBatch(records, 12n, { maxRows: 9, maxBytes: 900 })];
  expect(slices.map((slice) => [slice.records.length, slice.nextOffset])).toEqual([
    [2, 4n],
    [2, 8n],
    [1, 10n],
    [1, 12n],
  ]);
});

test("a batch of control records is one empty slice", () => {
  expect([...cutBatch([], 7n, { maxRows: 1, maxBytes: 1 })]).toEqual([{ records: [], nextOffset: 7n }]);
});

test("a Kafka tombstone counts with the bytes of its key", () => {
  const tombstone = { ...record(0, 0), key: Buffer.alloc(20), value: null };
  expect([...cutBatch([tombstone, tombstone], 2n, { maxRows: 9, maxBytes: 30 })]).toHaveLength(2);
});

function record(size: number, index: number): LogRecord {
  return {
    topic: "t",
    partition: 0,
    offset: BigInt(index * 2),
    key: null,
    value: Buffer.alloc(size),
    headers: {},
    timestampMs: 0,
  };
}
