import { expect, test } from "vitest";
import { openClient } from "./fixture.ts";

test("a statement timeout of weeks is none of a millisecond", async () => {
  const client = openClient({ statementTimeoutMs: 2 ** 31 - 1 });
  const [slept] = await client.run({ text: "SELECT pg_sleep(0.2) IS NOT NULL AS slept" });
  expect(slept?.rows).toEqual([{ slept: true }]);
});
