import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LineLimit, SlowChanges, stageTimes } from "../../src/runtime/slow-changes.ts";

const STAGES = ["producer", "kafka", "queue", "postgres"];
const time = fc.double({ min: 0, max: 100_000, noNaN: true });
const way = fc.tuple(time, fc.array(time, { minLength: 1, maxLength: STAGES.length })).map(([startedAt, ends]) => ({
  startedAt: startedAt + 1_700_000_000_000,
  ends: Object.fromEntries(ends.map((end, index) => [STAGES[index] ?? "", end + 1_700_000_000_000])),
}));

describe("stageTimes", () => {
  test("gives each stage its time and names the slowest", () => {
    expect(stageTimes({ startedAt: 1_000, ends: { producer: 1_012, kafka: 1_020.4, postgres: 3_020.4 } })).toEqual({
      totalMs: 2_020,
      slowest: "postgres",
      stagesMs: { producer: 12, kafka: 8, postgres: 2_000 },
      skew: null,
    });
  });

  test("stages are never negative and sum up to the total, whatever the clocks say", () => {
    fc.assert(
      fc.property(way, (each) => {
        const { totalMs, slowest, stagesMs } = stageTimes(each);
        const times = Object.values(stagesMs);
        expect(Object.keys(stagesMs)).toEqual(Object.keys(each.ends));
        expect(times.every((ms) => Number.isInteger(ms) && ms >= 0)).toBe(true);
        expect(times.reduce((sum, ms) => sum + ms, 0)).toBe(totalMs);
        expect(stagesMs[slowest]).toBe(Math.max(...times));
      }),
    );
  });

  test("with clocks that agree the total is the time from the start to the last end", () => {
    fc.assert(
      fc.property(way, ({ startedAt, ends }) => {
        const [first = 0, ...rest] = [startedAt, ...Object.values(ends)].toSorted((a, b) => a - b);
        const sorted = Object.fromEntries(Object.keys(ends).map((name, index) => [name, rest[index] ?? 0]));
        const { totalMs, skew } = stageTimes({ startedAt: first, ends: sorted });
        expect(skew).toBeNull();
        expect(Math.abs(totalMs - ((rest.at(-1) ?? 0) - first))).toBeLessThanOrEqual(0.5);
      }),
    );
  });

  test("a clock that is ahead takes no time away from the later stages", () => {
    expect(stageTimes({ startedAt: 9_000, ends: { producer: 5_000, kafka: 1_010, postgres: 1_510 } })).toEqual({
      totalMs: 500,
      slowest: "postgres",
      stagesMs: { producer: 0, kafka: 0, postgres: 500 },
      skew: { stage: "producer", aheadMs: 7_990 },
    });
  });
});

test("a line limit lets the first lines of each stretch pass and counts every other one", () => {
  const steps = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 100 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), steps, (most, pauses) => {
      const limit = new LineLimit(most, 1_000);
      const passed: number[] = [];
      let now = 0;
      for (const pause of pauses) {
        now += pause;
        if (limit.passes(now)) passed.push(now);
      }
      expect(passed.length + limit.takeLeftOut()).toBe(pauses.length);
      expect(limit.takeLeftOut()).toBe(0);
      // A stretch begins with its first line, so any stretch may see the end of one and the beginning of the next.
      for (const from of passed) {
        expect(passed.filter((each) => each >= from && each < from + 1_000).length).toBeLessThanOrEqual(2 * most);
      }
    }),
  );
});

describe("SlowChanges", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const slowChanges = (slowMs: number) => {
    const lines: [object, string][] = [];
    const slow = new SlowChanges({ slowMs, logger: { warn: (...line) => void lines.push(line) } });
    const report = (totalMs: number) =>
      slow.report("batch", { startedAt: 0, ends: { encode: 1, commit: totalMs } }, () => ({ changes: 3 }));
    return { slow, lines, report };
  };

  test("logs only what took longer than the limit", () => {
    const { lines, report } = slowChanges(500);
    report(500);
    report(501);
    const times = { totalMs: 501, slowest: "commit", stagesMs: { encode: 1, commit: 500 } };
    expect(lines).toEqual([[{ changes: 3, ...times }, "slow batch"]]);
  });

  test("after ten lines in a second, tells once how many more there were", () => {
    const { lines, report } = slowChanges(0);
    for (let index = 0; index < 25; index++) report(7);
    expect(lines).toHaveLength(10);
    vi.advanceTimersByTime(1_000);
    expect(lines.slice(10)).toEqual([[{ leftOut: 15 }, "slow batch: further lines left out"]]);
    report(7);
    expect(lines).toHaveLength(12);
  });

  test("tells once that clocks differ, also where nothing is slow", () => {
    const { slow, lines } = slowChanges(500);
    const skewed = { startedAt: 5_000, ends: { wait: 1_000, commit: 1_020 } };
    slow.report("batch", { startedAt: 1_009, ends: { wait: 1_000, commit: 1_020 } }, () => ({}));
    expect(lines).toEqual([]);
    slow.report("batch", skewed, () => ({}));
    slow.report("batch", skewed, () => ({}));
    expect(lines).toEqual([[{ stage: "wait", aheadMs: 4_000 }, expect.stringContaining("clocks differ")]]);
  });
});
