import { Kafka, logLevel } from "kafkajs";
import { describe, expect, test } from "vitest";
import { topicOf } from "../../../src/schemas/topics.ts";
import { freshPipeline } from "../../support/pipeline.ts";
import type { Pipeline } from "../../support/pipeline.ts";
import { servers } from "../../support/servers.ts";
import { spawnHeadrace } from "../spawn-headrace.ts";

interface Letter {
  readonly id: string;
  readonly code: string;
  readonly attempts: number;
}

async function list(pipeline: Pipeline, ...filters: string[]): Promise<Letter[]> {
  const { stdout, stderr, exitCode } = await pipeline.run("dlq", "list", "--json", ...filters);
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout) as Letter[];
}

describe("headrace dlq", () => {
  test("lists, shows, replays and discards records that PostgreSQL refuses", async () => {
    const pipeline = await freshPipeline({ collections: { items: {} } });
    const { db, pool, schema, configFile } = pipeline;
    const items = db.collection<{ _id: string; n: number }>("items");
    await pool.query(
      "CREATE TABLE items (_id text PRIMARY KEY, doc jsonb, CONSTRAINT small CHECK ((doc->>'n')::int < 10))",
    );
    await items.insertMany([
      { _id: "a", n: 1 },
      { _id: "b", n: 11 },
      { _id: "c", n: 12 },
    ]);
    expect((await pipeline.run("status", "--json")).exitCode).toBe(0);
    const run = spawnHeadrace("run", "-c", configFile);
    await expect.poll(() => list(pipeline), { timeout: 60_000, interval: 500 }).toHaveLength(2);
    await run.end("SIGTERM");

    const [letter] = await list(pipeline, "--key", "b");
    expect(letter).toMatchObject({
      id: expect.stringMatching(/\.items\/\d\/\d+$/),
      table: `${schema}.items`,
      code: "CONSTRAINT_VIOLATED",
      sqlstate: "23514",
      message: expect.stringContaining("small"),
      attempts: 1,
      needsSnapshot: false,
    });
    const id = letter?.id ?? "";
    expect(await list(pipeline, "--table", "items", "--error", "23514", "--since", "1h")).toHaveLength(2);
    expect(await list(pipeline, "--table", "others")).toEqual([]);
    expect(await list(pipeline, "--until", "1h")).toEqual([]);
    expect((await pipeline.run("dlq", "list")).stdout).toContain("23514 CONSTRAINT_VIOLATED");
    expect(JSON.parse((await pipeline.run("status", "--json")).stdout)).toMatchObject({
      deadLetters: [{ table: `${schema}.items`, open: 2 }],
    });

    const shown = await pipeline.run("dlq", "show", id, "--json");
    expect(JSON.parse(shown.stdout)).toMatchObject({
      id,
      key: "b",
      op: "r",
      outcome: null,
      row: { doc: '{"_id":"b","n":11}' },
    });
    expect((await pipeline.run("dlq", "show", id)).stdout).toContain('doc = {"_id":"b","n":11}');

    const failing = await pipeline.run("dlq", "replay", id);
    expect(failing.stdout).toContain("1 failed again");
    expect(failing.exitCode).toBe(1);
    expect(await list(pipeline, "--key", "b")).toMatchObject([{ id, attempts: 2 }]);

    await pool.query("ALTER TABLE items DROP CONSTRAINT small");
    const replay = await pipeline.run("dlq", "replay", "--key", "b");
    expect(replay.stdout).toBe("1 replayed.\n");
    expect(replay.exitCode).toBe(0);
    expect((await pool.query("SELECT _id FROM items ORDER BY 1")).rows).toEqual([{ _id: "a" }, { _id: "b" }]);
    expect((await pipeline.run("dlq", "show", id)).stdout).toMatch(
      /state +replayed\nfailure .*attempt 1.*\nfailure .*attempt 2/,
    );

    expect((await pipeline.run("dlq", "discard")).exitCode).toBe(2);
    expect((await pipeline.run("dlq", "discard", "--key", "c")).stdout).toBe("1 discarded.\n");
    expect((await pipeline.run("dlq", "list")).stdout).toBe("No open dead letters.\n");
    expect((await pool.query("SELECT _id FROM items ORDER BY 1")).rows).toEqual([{ _id: "a" }, { _id: "b" }]);
  });

  test("shows a record that cannot be decoded; only discard closes it", async () => {
    const pipeline = await freshPipeline({ collections: { items: {} } });
    await pipeline.db.collection("items").insertOne({ a: 1 });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    await send(topicOf(pipeline.name, pipeline.db.databaseName, "items"), { key: "k", value: "not Avro" });
    const run = spawnHeadrace("consume", "-c", pipeline.configFile);
    await expect.poll(() => list(pipeline), { timeout: 60_000, interval: 500 }).toHaveLength(1);
    await run.end("SIGTERM");

    const [letter] = await list(pipeline);
    expect(letter).toMatchObject({ code: "RECORD_UNDECODABLE", attempts: 1 });
    const { stdout } = await pipeline.run("dlq", "show", letter?.id ?? "");
    expect(stdout).toContain("cannot be read");
    expect(stdout).toMatch(/key +unreadable/);
    expect((await pipeline.run("dlq", "replay")).exitCode).toBe(1);
    expect((await pipeline.run("dlq", "discard", "--all")).stdout).toBe("1 discarded.\n");
    expect(await list(pipeline)).toEqual([]);
  });

  test("lists nothing for a pipeline that has never run, and refuses an unknown id", async () => {
    const pipeline = await freshPipeline({ collections: { items: {} } });
    expect(await list(pipeline)).toEqual([]);
    const { exitCode, stderr } = await pipeline.run("dlq", "show", "no/0/1");
    expect(stderr).toContain('UNKNOWN_DEAD_LETTER: There is no dead letter "no/0/1"');
    expect(exitCode).toBe(1);
  });
});

async function send(topic: string, message: { readonly key: string; readonly value: string }): Promise<void> {
  const kafka = new Kafka({ brokers: servers().kafkaBrokers.split(","), logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: [message] });
  await producer.disconnect();
}
