import { describe, expect, test } from "vitest";
import { parseErrorCode, parseMilliseconds, parseTime } from "../../src/cli/options.ts";

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

test("parseMilliseconds accepts whole numbers up to a day", () => {
  expect(["0", "500", "86400000"].map(parseMilliseconds)).toEqual([0, 500, 86_400_000]);
  for (const text of ["", "-1", "1.5", "1s", "86400001"])
    expect(() => parseMilliseconds(text)).toThrow("Give a number of milliseconds from 0");
});

describe("parseErrorCode", () => {
  test.each(["CONSTRAINT_VIOLATED", "23505", "P0001", "XX000"])("accepts %s", (code) => {
    expect(parseErrorCode(code)).toBe(code);
  });

  test("suggests the code that was meant", () => {
    expect(() => parseErrorCode("CONSTRAINT_VIOLATION")).toThrow("Did you mean CONSTRAINT_VIOLATED?");
    expect(() => parseErrorCode("23")).toThrow("or a SQLSTATE such as 23505.");
  });
});
