// Dead letters that stay open for longer than Kafka keeps their records.
import { expect, test } from "vitest";
import { deleteRecordsBefore, deleteTopics } from "../../src/kafka/admin.ts";
import { fetchEndOffsets } from "../../src/kafka/topics.ts";
import { deadLetterTopic } from "../../src/schemas/topics.ts";
import { connectKafka } from "../consumers/kafka/fixture.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

interface Item {
  _id: number | string;
  n: number;
}

interface Letter {
  readonly id: string;
  readonly key: string;
  readonly recordGone: boolean;
}

async function openLetters(pipeline: Pipeline, ...filters: string[]): Promise<readonly Letter[]> {
  const { stdout, stderr, exitCode } = await pipeline.run("dlq", "list", "--json", ...filters);
  expect(exitCode, stderr).toBe(0);
  return (JSON.parse(stdout) as Letter[]).toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** What Kafka does when deadLetters.retentionMs has passed. */
async function expireLetters({ name }: Pipeline): Promise<void> {
  const kafka = connectKafka();
  const topic = deadLetterTopic(name);
  const [end] = await fetchEndOffsets(kafka, [topic]);
  await deleteRecordsBefore(kafka, topic, end?.offset ?? 0n);
}

/** How many dead letters PostgreSQL keeps. */
async function keptLetters({ name, pool }: Pipeline): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM headrace.open_letters WHERE dlq_topic = $1",
    [deadLetterTopic(name)],
  );
  return rows[0]?.count ?? 0;
}

test(
  "a running consumer keeps dead letters soon after they were written, the producer's too, and at its end",
  { timeout: 180_000 },
  async () => {
    const pipeline = await freshPipeline({ collections: { items: { idType: "integer" } } });
    const items = pipeline.db.collection<Item>("items");
    await pipeline.pool.query("CREATE TABLE items (_id bigint PRIMARY KEY, doc jsonb CHECK ((doc->>'n')::int < 10))");
    await items.insertOne({ _id: 1, n: 1 });
    const run = pipeline.start("run");
    const caughtUp = await pipeline.run("status", "--wait-for", "now");
    expect(caughtUp.exitCode, caughtUp.stderr).toBe(0);
    await items.insertOne({ _id: 2, n: 12 });
    await expect.poll(() => keptLetters(pipeline), { timeout: 30_000 }).toBe(1);
    await items.insertOne({ _id: "three", n: 3 });
    await expect.poll(() => keptLetters(pipeline), { timeout: 30_000 }).toBe(2);
    await items.insertOne({ _id: 4, n: 14 });
    await expect.poll(() => openLetters(pipeline), { timeout: 30_000 }).toHaveLength(3);
    await run.stop();
    await deleteTopics(connectKafka(), [deadLetterTopic(pipeline.name)]);
    expect(await openLetters(pipeline)).toMatchObject(['"three"', "2", "4"].map((key) => ({ key, recordGone: true })));
  },
);

test(
  "an open dead letter outlives its record: it is listed by its key, and its replay reads the document again",
  { timeout: 240_000 },
  async () => {
    const pipeline = await freshPipeline({ collections: { items: { idType: "integer" } } });
    const { pool, schema } = pipeline;
    const items = pipeline.db.collection<Item>("items");
    await pool.query(
      "CREATE TABLE items (_id bigint PRIMARY KEY, doc jsonb, CONSTRAINT small CHECK ((doc->>'n')::int < 10))",
    );
    await items.insertMany([
      { _id: 1, n: 1 },
      { _id: 2, n: 12 },
      { _id: 3, n: 13 },
      { _id: 4, n: 14 },
      { _id: "five", n: 5 },
    ]);
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    const before = await openLetters(pipeline);
    expect(before).toMatchObject(['"five"', "2", "3", "4"].map((key) => ({ key, recordGone: false })));
    await expireLetters(pipeline);
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);

    const after = await openLetters(pipeline);
    expect(after).toEqual(before.map((letter) => ({ ...letter, needsSnapshot: true, recordGone: true })));
    expect(await openLetters(pipeline, "--table", "items", "--key", "3")).toMatchObject([{ key: "3" }]);
    expect((await pipeline.run("dlq", "list")).stdout).toMatch(
      /│ 3 +│ 23514 CONSTRAINT_VIOLATED, its record is gone +│/,
    );
    const id = after.find(({ key }) => key === "3")?.id ?? "";
    expect((await pipeline.run("dlq", "show", id)).stdout).toMatch(
      /key +3\nstate +open\n[^]*record +is gone from Kafka/,
    );
    expect(JSON.parse((await pipeline.run("status", "--json")).stdout)).toMatchObject({
      deadLetters: [{ table: `${schema}.items`, open: 4 }],
    });
    expect((await pipeline.run("dlq", "discard", "--key", "4")).stdout).toBe("1 discarded.\n");

    await items.deleteOne({ _id: 2 });
    await items.deleteOne({ _id: "five" });
    await items.updateOne({ _id: 4 }, { $set: { n: 4 } });
    await pool.query("ALTER TABLE items DROP CONSTRAINT small");
    const run = pipeline.start("run");
    const replayed = await pipeline.run("dlq", "replay", "--json");
    expect(JSON.parse(replayed.stdout), replayed.stderr).toMatchObject({ failed: 0, needsSnapshot: 0 });
    expect(await openLetters(pipeline)).toEqual([]);
    const { stdout, stderr, exitCode } = await pipeline.run("verify", "--wait", "60");
    expect(exitCode, stdout + stderr).toBe(0);
    expect((await pool.query("SELECT _id::int FROM items ORDER BY 1")).rows).toEqual([
      { _id: 1 },
      { _id: 3 },
      { _id: 4 },
    ]);
    await run.stop();
    // A closed dead letter is not kept.
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    const kept = await pool.query("SELECT id FROM headrace.open_letters WHERE dlq_topic = $1", [
      deadLetterTopic(pipeline.name),
    ]);
    expect(kept.rows).toEqual([]);
  },
);
