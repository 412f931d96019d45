import { describe, expect, test } from "vitest";
import { parseTime } from "../../src/cli/options.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 12);

describe("parseTime", () => {
  test.each([
    ["2026-11-24T08:00:00Z", "2026-11-24T08:00:00.000Z"],
    ["90s", "2026-11-24T11:58:30.000Z"],
    ["30m", "2026-11-24T11:30:00.000Z"],
    ["12h", "2026-11-24T00:00:00.000Z"],
    ["7d", "2026-11-17T12:00:00.000Z"],
  ])("accepts %s", (text, expected) => {
    expect(parseTime(text, undefined, NOW_MS).toISOString()).toBe(expected);
  });

  test.each(["", "yesterday", "5", "-3h", "3w"])("refuses %j", (text) => {
    expect(() => parseTime(text, undefined, NOW_MS)).toThrow("Give a time like 2026");
  });
});
