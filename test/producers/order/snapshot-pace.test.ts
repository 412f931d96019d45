import { expect, test } from "vitest";
import { SnapshotPace } from "../../../src/producers/order/snapshot-pace.ts";

test("without changes, everything that was read is published at once", () => {
  const pace = new SnapshotPace();
  pace.partsPublished(50);
  expect(pace.parts).toBe(Infinity);
  expect(pace.restsUntil).toBeLessThan(performance.now());
});

test("while changes come, a pause follows each part, and another change does not end it", () => {
  const pace = new SnapshotPace();
  pace.changePublished(50);
  pace.partsPublished(80);
  const rest = pace.restsUntil;
  expect(rest).toBeGreaterThan(performance.now() + 100);
  pace.changePublished(50);
  expect(pace.restsUntil).toBe(rest);
});

test("parts grow if transactions are slow anyway, and shrink if the parts make them slow", () => {
  const pace = new SnapshotPace();
  pace.changePublished(100);
  expect(pace.parts).toBe(1);
  pace.partsPublished(102);
  pace.partsPublished(105);
  expect(pace.parts).toBe(4);
  pace.partsPublished(180);
  expect(pace.parts).toBe(4);
  pace.partsPublished(300);
  expect(pace.parts).toBe(2);
});
