import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { connectKafka } from "../consumers/kafka/fixture.ts";

test("an idle connection sets no timers", async () => {
  const admin = connectKafka().admin();
  await admin.connect();
  await admin.listTopics();
  const timers = vi.spyOn(globalThis, "setTimeout");
  try {
    await sleep(500);
    expect(timers).not.toHaveBeenCalled();
  } finally {
    timers.mockRestore();
    await admin.disconnect();
  }
});

test("requests that wait for others are sent, however many they are", async () => {
  const admin = connectKafka().admin();
  await admin.connect();
  try {
    const answers = await Promise.all(Array.from({ length: 200 }, () => admin.listTopics()));
    expect(answers.length).toBe(200);
  } finally {
    await admin.disconnect();
  }
});
