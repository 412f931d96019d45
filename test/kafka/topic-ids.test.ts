import { expect, test, vi } from "vitest";
import { confirmed } from "../../src/kafka/topic-ids.ts";

test.each<[string, readonly boolean[], boolean, number]>([
  ["what is there is believed at once", [false], false, 1],
  ["a broker that has just started and does not know a topic yet raises no alarm", [true, true, false], false, 3],
  ["what stays lost counts as lost", [true], true, 5],
])("%s", async (_, answers, expected, looks) => {
  const look = vi.fn(async () => answers[Math.min(look.mock.calls.length, answers.length) - 1] ?? false);
  expect(await confirmed(look, (isLost) => isLost, 0)).toBe(expected);
  expect(look).toHaveBeenCalledTimes(looks);
});
