import { expect, test } from "vitest";
import { counted } from "../../src/runtime/counted.ts";

test.each([
  [0, "0 minutes"],
  [1, "1 minute"],
  [2, "2 minutes"],
  [1_200, "1,200 minutes"],
])("%s is %s", (count, text) => {
  expect(counted(count, "minute")).toBe(text);
});
