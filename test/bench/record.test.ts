import { describe, expect, test } from "vitest";
import { figuresOf, fileNameOf, newestOf } from "../../bench/record.ts";
import { record } from "./bench-record.ts";

test("figures are named by their paths; single runs are left out", () => {
  const latency = { 200: { p50Ms: 7.5, samples: 900 }, limit: { p50Ms: 1.5 } };
  const live = { runs: [{ idle: { p50Ms: 6 } }], ratio: { p50: 1.5 } };
  expect(figuresOf({ latency, live })).toEqual({
    "latency.200.p50Ms": 7.5,
    "latency.200.samples": 900,
    "latency.limit.p50Ms": 1.5,
    "live.ratio.p50": 1.5,
  });
});

test("a file is named after its minute and its commit", () => {
  const measured = record({ commit: "6942df7".padEnd(40, "0"), measuredAt: "2026-11-28T14:03:09.123Z" });
  expect(fileNameOf(measured)).toBe("2026-11-28T1403-6942df7.json");
  expect(fileNameOf({ ...measured, isModified: true })).toBe("2026-11-28T1403-6942df7-modified.json");
  expect(fileNameOf({ ...measured, kind: "peer" })).toBe("2026-11-28T1403-6942df7-peer.json");
});

describe("a commit's file", () => {
  const names = [
    "2026-11-28T1403-6942df7.json",
    "2026-11-29T0900-6942df7.json",
    "2026-11-29T1000-6942df7-peer.json",
    "2026-11-28T1500-2026112-modified.json",
    "README.md",
  ];

  test.each(["6942", "6942df7", "6942df7".padEnd(40, "0")])(
    "is found by %s, the newest of several without those against the peer",
    (commit) => {
      expect(newestOf(names, commit)).toBe("2026-11-29T0900-6942df7.json");
    },
  );

  test("is not found by a part of the time", () => {
    expect(newestOf(names, "2026")).toBe("2026-11-28T1500-2026112-modified.json");
    expect(newestOf(names, "1403")).toBeUndefined();
  });

  test.each(["694", "", "../x", "abcdef0"])("is not found by %j", (commit) => {
    expect(newestOf(names, commit)).toBeUndefined();
  });
});
