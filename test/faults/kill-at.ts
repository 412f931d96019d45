import { expect } from "vitest";
import { testKafka } from "../producers/kafka/pipeline-topics.ts";
import type { Pipeline } from "../support/pipeline.ts";

const MINUTES = 60_000;

/** Starts a producer again and again. Kills it each time the topic reaches the next number of records. */
export async function killAt(pipeline: Pipeline, topic: string, counts: readonly number[]): Promise<void> {
  const admin = testKafka().admin();
  await admin.connect();
  const current = async (): Promise<number> => {
    if (!(await admin.listTopics()).includes(topic)) return 0;
    const ends = await admin.fetchTopicOffsets(topic);
    return ends.reduce((sum, { high }) => sum + Number(high), 0);
  };
  try {
    for (const count of counts) {
      const producer = pipeline.start("produce");
      await expect.poll(current, { timeout: 5 * MINUTES, interval: 50 }).toBeGreaterThan(count);
      await producer.kill();
      process.stderr.write(`killed at ${await current()} records\n`);
    }
  } finally {
    await admin.disconnect();
  }
}
