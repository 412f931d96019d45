import * as fc from "fast-check";
import { expect, test } from "vitest";
import { batchRecords, recordBytes } from "../../../src/producers/records/batch-records.ts";
import type { TopicRecord } from "../../../src/producers/records/batch-records.ts";

const MEGABYTE = 1_000_000;

const recordsArbitrary: fc.Arbitrary<TopicRecord[]> = fc.array(
  fc
    .record({
      topic: fc.constantFrom("a", "b"),
      partition: fc.nat(2),
      bytes: fc.oneof(fc.nat(2_000), fc.nat(400_000), fc.constant(3_000_000)),
      hasHeaders: fc.boolean(),
    })
    .map(({ topic, partition, bytes, hasHeaders }) => ({
      topic,
      partition,
      key: Buffer.from("key"),
      // Only the size matters. Equal bytes keep a counterexample readable.
      value: bytes === 0 ? null : ({ byteLength: bytes } as Buffer),
      ...(hasHeaders ? { headers: { name: "text" } } : {}),
      timestampMs: 0,
    })),
  { maxLength: 60 },
);

test("batches keep all records in order", () => {
  fc.assert(
    fc.property(recordsArbitrary, (records) => {
      const batches = [...batchRecords(records, () => Infinity)];
      expect(batches.flat()).toEqual(records);
      expect(batches.every((batch) => batch.length > 0)).toBe(true);
    }),
  );
});

test("a batch has less than a megabyte for each partition, unless a single record has more", () => {
  fc.assert(
    fc.property(recordsArbitrary, (records) => {
      for (const batch of batchRecords(records, () => Infinity)) {
        const partitions = Map.groupBy(batch, ({ topic, partition }) => `${topic}/${partition}`);
        for (const [, ofPartition] of partitions) {
          if (ofPartition.length === 1) continue;
          expect(ofPartition.reduce((sum, record) => sum + recordBytes(record), 0)).toBeLessThan(MEGABYTE);
        }
      }
    }),
  );
});
