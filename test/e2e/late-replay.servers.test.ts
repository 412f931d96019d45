// Dead letters that are replayed when PostgreSQL no longer remembers the deletes of their time.
import { expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

interface Item {
  _id: string;
  n: number;
}

async function openLetters(pipeline: Pipeline): Promise<{ readonly key: string; readonly attempts: number }[]> {
  const { stdout, stderr, exitCode } = await pipeline.run("dlq", "list", "--json");
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout) as { key: string; attempts: number }[];
}

async function replay(pipeline: Pipeline): Promise<object> {
  const { stdout, stderr } = await pipeline.run("dlq", "replay", "--json");
  expect(stdout, stderr).not.toBe("");
  return JSON.parse(stdout) as object;
}

async function tombstonesOf({ pool, schema }: Pipeline): Promise<readonly unknown[]> {
  return (await pool.query("SELECT key FROM headrace.tombstones WHERE relation = $1", [`"${schema}"."items"`])).rows;
}

test(
  "a replay brings back nothing that was deleted, however long ago: it reads the document again",
  { timeout: 180_000 },
  async () => {
    const pipeline = await freshPipeline({ collections: { items: {} } });
    const { pool, schema } = pipeline;
    const items = pipeline.db.collection<Item>("items");
    await pool.query(
      "CREATE TABLE items (_id text PRIMARY KEY, doc jsonb, CONSTRAINT small CHECK ((doc->>'n')::int < 10))",
    );
    await items.insertMany([
      { _id: "deleted", n: 11 },
      { _id: "kept", n: 12 },
      { _id: "small", n: 1 },
    ]);
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    expect(await replay(pipeline)).toMatchObject({ failed: 2 });
    await items.deleteMany({ _id: { $in: ["deleted", "small"] } });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    const keys = (await openLetters(pipeline)).map(({ key, attempts }) => `${key} ${attempts}`);
    expect(keys.toSorted()).toEqual(["deleted 2", "kept 2"]);
    await pool.query("UPDATE headrace.tombstones SET deleted_at = now() - interval '31 days' WHERE relation = $1", [
      `"${schema}"."items"`,
    ]);
    expect(await tombstonesOf(pipeline)).toHaveLength(2);

    const run = pipeline.start("run");
    await expect.poll(() => tombstonesOf(pipeline), { timeout: 60_000 }).toEqual([]);
    await pool.query("ALTER TABLE items DROP CONSTRAINT small");
    expect(await replay(pipeline)).toMatchObject({ replayed: 2, failed: 0, needsSnapshot: 0 });
    expect(await openLetters(pipeline)).toEqual([]);
    const { stdout, exitCode } = await pipeline.run("verify", "--wait", "60");
    expect(exitCode, stdout).toBe(0);
    expect((await pool.query("SELECT _id FROM items")).rows).toEqual([{ _id: "kept" }]);
    await run.stop();
  },
);
