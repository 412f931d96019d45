import { expect, test } from "vitest";
import { closest } from "../../src/config/explain-issues.ts";

test("finds the intended word", () => {
  expect(closest("brokrs", ["brokers", "partitions"])).toBe("brokers");
  expect(closest("TABLE", ["table"])).toBe("table");
  expect(closest("tabel", ["path", "table"])).toBe("table");
});

test("suggests nothing if no word is similar", () => {
  expect(closest("retries", ["brokers", "ssl"])).toBeNull();
  expect(closest("x", [])).toBeNull();
});
