// A document that the producer cannot encode or send becomes a dead letter with only a key. It is replayed when the
// document or the topic's limit is fixed.
import kafkajs from "kafkajs";
import { expect, test } from "vitest";
import { topicOf } from "../../src/schemas/topics.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { servers } from "../support/servers.ts";

interface Letter {
  readonly id: string;
  readonly code: string;
  readonly attempts: number;
}

async function list(pipeline: Pipeline): Promise<Letter[]> {
  const { stdout, stderr, exitCode } = await pipeline.run("dlq", "list", "--json");
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout) as Letter[];
}

/** The output of `dlq replay`. */
async function replay(pipeline: Pipeline, exitCode: number): Promise<object> {
  const result = await pipeline.run("dlq", "replay", "--json");
  expect(result.exitCode, result.stderr).toBe(exitCode);
  return JSON.parse(result.stdout) as object;
}

async function limitRecords({ name, db }: Pipeline, collection: string, bytes: number): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers: servers().kafkaBrokers.split(",") }).admin();
  await admin.connect();
  const topic = topicOf(name, db.databaseName, collection);
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: topic,
        configEntries: [{ name: "max.message.bytes", value: String(bytes) }],
      },
    ],
  });
  await admin.disconnect();
}

test(
  "a document that is too large stays one dead letter, and is copied when the topic's limit is raised",
  { timeout: 300_000 },
  async () => {
    const pipeline = await freshPipeline({ collections: { items: {} } });
    const items = pipeline.db.collection<{ _id: string; text: string }>("items");
    await items.insertOne({ _id: "small", text: "x" });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    await limitRecords(pipeline, "items", 2_000);
    pipeline.start("run");
    await items.insertOne({ _id: "large", text: "x".repeat(5_000) });
    await expect.poll(() => list(pipeline), { timeout: 60_000 }).toHaveLength(1);
    const [letter] = await list(pipeline);
    expect(letter).toMatchObject({ code: "DOCUMENT_UNENCODABLE", attempts: 1 });
    expect(await replay(pipeline, 1)).toMatchObject({ replayed: 0, failed: 1 });
    expect(await replay(pipeline, 1)).toMatchObject({ replayed: 0, failed: 1 });
    expect(await list(pipeline)).toMatchObject([{ id: letter!.id, attempts: 3 }]);
    // Another dead letter of the same document.
    await items.updateOne({ _id: "large" }, { $set: { text: "y".repeat(5_000) } });
    await expect.poll(() => list(pipeline), { timeout: 60_000 }).toHaveLength(2);
    await limitRecords(pipeline, "items", 1_000_000);
    expect(await replay(pipeline, 0)).toMatchObject({ replayed: 2, failed: 0 });
    expect(await list(pipeline)).toEqual([]);
    const { exitCode, stdout } = await pipeline.run("verify");
    expect(exitCode, stdout).toBe(0);
  },
);

test(
  "a document with a wrong _id type is replayed with a new _id; one whose _id is no valid key stays open",
  { timeout: 300_000 },
  async () => {
    const pipeline = await freshPipeline({ collections: { items: { idType: "integer" } } });
    const items = pipeline.db.collection<{ _id: number | string }>("items");
    await items.insertMany([{ _id: 1 }, { _id: "two" }]);
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    expect(await list(pipeline)).toMatchObject([{ code: "ID_TYPE_MISMATCH", attempts: 1 }]);

    // No producer runs that could read it again, so the signal waits.
    await items.deleteOne({ _id: "two" });
    await items.insertOne({ _id: 2 });
    expect(await replay(pipeline, 1)).toMatchObject({ replayed: 0, needsSnapshot: 1 });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    expect(await list(pipeline)).toMatchObject([{ code: "ID_TYPE_MISMATCH", attempts: 1 }]);

    pipeline.start("run");
    expect(await replay(pipeline, 0)).toMatchObject({ replayed: 1, needsSnapshot: 0 });
    expect(await list(pipeline)).toEqual([]);
    await items.insertOne({ _id: "a\u0000b" });
    await expect.poll(() => list(pipeline), { timeout: 60_000 }).toHaveLength(1);
    expect(await replay(pipeline, 1)).toMatchObject({ replayed: 0, unaskable: 1 });
    expect((await pipeline.run("dlq", "replay")).stdout).toContain("cannot be read again by its _id");
    expect(await list(pipeline)).toMatchObject([{ code: "ID_TYPE_MISMATCH", attempts: 1 }]);
  },
);
