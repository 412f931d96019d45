import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { auditEntries } from "../support/audit-trail.ts";
import { faultyPipeline } from "./faulty-pipeline.ts";

/** Much longer than kafkajs tries one request, and than a session of the consumer lasts. */
const SILENCE_MS = 150_000;

test("the pipeline outlasts a Kafka that answers nothing for minutes", async () => {
  const { pool, proxies, through, whileWriting, expectEqual } = await faultyPipeline();
  const processes = ["produce", "consume"].map((command) => through.start(command));
  const unexpectedEnd = Promise.race(processes.map((each) => each.unexpectedEnd()));
  unexpectedEnd.catch(() => {});
  const goesOn = async (): Promise<void> => {
    const before = await auditEntries(pool);
    await expect.poll(() => auditEntries(pool), { timeout: 180_000, interval: 100 }).toBeGreaterThan(before);
  };
  await whileWriting(async () => {
    await Promise.race([goesOn(), unexpectedEnd]);
    proxies.kafka.pauseRequests();
    proxies.kafka.pauseResponses();
    await Promise.race([sleep(SILENCE_MS), unexpectedEnd]);
    proxies.kafka.resume();
    await Promise.race([goesOn(), unexpectedEnd]);
  });
  await expectEqual();
});
