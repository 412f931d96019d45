import * as fc from "fast-check";
import { expect, it } from "vitest";
import { appendIsoDate } from "../../../src/schemas/encoding/json-date.ts";
import { AvroWriter } from "../../../src/schemas/formats/avro-writer.ts";

const MOST_MS = 8_640_000_000_000_000;

const out = new AvroWriter();

function isoDate(ms: number): string {
  appendIsoDate(out, ms);
  return out.take().toString();
}

it("writes dates as JavaScript does", () => {
  const years = fc.integer({ min: -1, max: 10_001 });
  const nearNewYear = fc
    .tuple(years, fc.integer({ min: -3, max: 70 }), fc.constantFrom(0, -1, 1))
    .map(([year, day, ms]) => new Date(0).setUTCFullYear(year, 0, day) + ms);
  fc.assert(
    fc.property(fc.oneof(fc.integer({ min: -MOST_MS, max: MOST_MS }), fc.integer(), nearNewYear), (ms) => {
      expect(isoDate(ms)).toBe(new Date(ms).toISOString());
    }),
    { numRuns: 5000 },
  );
});

it("writes every day of 400 years as JavaScript does", () => {
  for (let day = 0; day < 146_097; day++) {
    const ms = day * 86_400_000 - 1;
    if (isoDate(ms) !== new Date(ms).toISOString()) expect.fail(new Date(ms).toISOString());
  }
});
