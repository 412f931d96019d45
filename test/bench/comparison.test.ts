import { expect, test } from "vitest";
import { compareRecords } from "../../bench/comparison.ts";
import { record } from "./bench-record.ts";

const verdictOf = (name: string, before: number, after: number) =>
  compareRecords(record({ figures: { [name]: before } }), record({ figures: { [name]: after } })).figures[0];

test.each([
  ["snapshot.rowsPerSecond", 100, 120, "better"],
  ["snapshot.rowsPerSecond", 100, 80, "worse"],
  ["snapshot.ratio", 0.4, 0.6, "better"],
  ["snapshot.cpuMicrosPerRow", 20, 30, "worse"],
  ["growth.documents.10000.rowsPerSecond", 100, 120, "better"],
  ["latency.200.p99Ms", 30, 20, "better"],
  ["snapshot.producerPeakMemoryMb", 200, 300, "worse"],
  ["liveInSnapshot.ratio.p50", 1.5, 3, "worse"],
  ["liveInSnapshot.speedRatio", 0.5, 0.8, "better"],
  ["snapshot.rowsPerSecond", 100, 104, "same"],
  ["snapshot.limitRowsPerSecond", 100, 200, "yardstick"],
  ["latency.limit.p50Ms", 1, 2, "yardstick"],
])("%s from %d to %d is %s", (name, before, after, verdict) => {
  expect(verdictOf(name, before, after)).toEqual({ name, before, after, ratio: after / before, verdict });
});

test("only figures that both records have are compared, and no sizes or samples", () => {
  const before = record({ figures: { "drain.changes": 10, "drain.changesPerSecond": 100, "wide.rowsPerSecond": 1 } });
  const after = record({ figures: { "drain.changes": 10, "drain.changesPerSecond": 100, "latency.200.samples": 5 } });
  expect(compareRecords(before, after).figures.map(({ name }) => name)).toEqual(["drain.changesPerSecond"]);
  expect(compareRecords(before, after).warnings).toEqual([]);
});

test("warns where two records cannot be compared", () => {
  const before = record({ figures: { "drain.changes": 10 } });
  const after = record({
    commit: "b".repeat(40),
    isModified: true,
    machine: { ...before.machine, cores: 8, servers: { mongodb: "6.0.5" } },
    options: { ...before.options, scale: 0.1 },
    figures: { "drain.changes": 20 },
  });
  expect(compareRecords(before, after).warnings).toEqual([
    "Different cores: 2 and 8.",
    "Different kafka: 4.3.1 and unknown.",
    "Different scale: 1 and 0.1.",
    "Different drain.changes: 10 and 20.",
    "bbbbbbb was measured with changes that are not in the commit.",
  ]);
});
