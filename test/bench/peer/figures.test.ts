import { expect, test } from "vitest";
import { compareSides, recordedFigures, rowOf } from "../../../bench/peer/figures.ts";

const runs = {
  peer: [
    { rowsPerSecond: 10_000, p50Ms: 30 },
    { rowsPerSecond: 12_000, p50Ms: 20 },
    { rowsPerSecond: 11_000, p50Ms: 40 },
  ],
  headrace: [{ rowsPerSecond: 33_000 }, { rowsPerSecond: 30_000 }, { rowsPerSecond: 44_000.4 }],
};

test("a figure of both sides is the median of its runs, with their range and the ratio of the medians", () => {
  expect(compareSides("snapshot300k", runs)).toEqual([
    {
      name: "snapshot300k.rowsPerSecond",
      peer: { median: 11_000, low: 10_000, high: 12_000 },
      headrace: { median: 33_000, low: 30_000, high: 44_000.4 },
      ratio: 3,
    },
  ]);
});

test("a row shows large figures as whole numbers and small ones with one digit", () => {
  const [rates] = compareSides("drain", runs);
  expect(rowOf(rates!)).toEqual(["drain.rowsPerSecond", "11,000", "10,000–12,000", "33,000", "30,000–44,000", "3.00"]);
  const [latency] = compareSides("latency", { peer: [{ p50Ms: 12.34 }], headrace: [{ p50Ms: 8 }] });
  expect(rowOf(latency!)).toEqual(["latency.p50Ms", "12.3", "12.3–12.3", "8", "8–8", "0.65"]);
});

test("a record has both sides' medians and their ratio", () => {
  expect(recordedFigures(compareSides("snapshot300k", runs))).toEqual({
    "peer.snapshot300k.limit.rowsPerSecond": 11_000,
    "peer.snapshot300k.headrace.rowsPerSecond": 33_000,
    "peer.snapshot300k.ratio.rowsPerSecond": 3,
  });
});
