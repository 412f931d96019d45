import { expect, test } from "vitest";
import { nextLookMs } from "../../../bench/peer/arrival.ts";

test.each([
  ["nothing has arrived", { elapsedMs: 5_000, share: 0, costMs: 1 }, 250],
  ["nothing was to arrive", { elapsedMs: 5_000, share: NaN, costMs: 1 }, 250],
  ["a minute is left: not longer than a second", { elapsedMs: 10_000, share: 1 / 7, costMs: 50 }, 1_000],
  ["two seconds are left: a quarter of them", { elapsedMs: 2_000, share: 0.5, costMs: 50 }, 500],
  ["almost all has arrived: as long as a look takes", { elapsedMs: 9_990, share: 0.999, costMs: 80 }, 80],
  ["almost all has arrived, and a look is quick", { elapsedMs: 9_990, share: 0.999, costMs: 2 }, 25],
  ["more has arrived than there was", { elapsedMs: 1_000, share: 1.5, costMs: 2 }, 25],
])("the next look when %s", (_, now, wanted) => {
  expect(nextLookMs(now)).toBeCloseTo(wanted, 0);
});
