import { expect, test } from "vitest";
import { SnapshotPace } from "../../../src/producers/order/snapshot-pace.ts";

test("all that was read goes at once while no changes come", () => {
  const pace = new SnapshotPace();
  pace.partsPublished(50);
  expect(pace.parts).toBe(Infinity);
  expect(pace.restsUntil).toBeLessThan(performance.now());
});

test("while changes come, a part is followed by a rest, which another change does not end", () => {
  const pace = new SnapshotPace();
  pace.changePublished(50);
  pace.partsPublished(80);
  const rest = pace.restsUntil;
  expect(rest).toBeGreaterThan(performance.now() + 100);
  pace.changePublished(50);
  expect(pace.restsUntil).toBe(rest);
});

test("parts grow where a transaction takes long by itself, and shrink where they make it long", () => {
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
