import { expect, test } from "vitest";
import { mediansOf } from "../../bench/statistics.ts";

test("each figure of several runs has its own median", () => {
  const runs = [
    { rowsPerSecond: 10, peakMemoryMb: 300 },
    { rowsPerSecond: 30, peakMemoryMb: 100 },
    { rowsPerSecond: 20, peakMemoryMb: 200 },
  ];
  expect(mediansOf(runs)).toEqual({ rowsPerSecond: 20, peakMemoryMb: 200 });
});
