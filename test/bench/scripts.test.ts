import { expect, test } from "vitest";
import { scriptFigures } from "../../bench/scenarios/scripts.ts";

test("a script's time for ten million documents is extrapolated from its rows per second", () => {
  const run = { rows: 10_000, elapsedMs: 5_000, cpuSeconds: 2, peakMemoryMb: 99.6 };
  expect(scriptFigures(run)).toEqual({
    documents: 10_000,
    rowsPerSecond: 2_000,
    cpuMicrosPerRow: 200,
    peakMemoryMb: 100,
    extrapolatedSecondsOfTenMillion: 5_000,
  });
});
