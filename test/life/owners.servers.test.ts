// Whose a table is: two pipelines, a renamed pipeline, another source, another _id type.
import { expect, test, vi } from "vitest";
import { topicOf } from "../../src/schemas/topics.ts";
import { asKafkaAdmin } from "../support/kafka-admin.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Commands, Pipeline } from "../support/pipeline.ts";
import { freshMongoDatabase, uniqueName } from "../support/servers.ts";
import {
  expectEqual,
  expectRefused,
  idsIn,
  insertThings,
  INTEGER_IDS,
  runOnce,
  runUntilEqual,
  thingsOf,
  pipelineOfThings,
} from "./things.ts";

test("a table of another pipeline is refused by check and by each start, until it is taken over", async () => {
  const pipeline = await pipelineOfThings();
  const name = uniqueName("pipeline");
  const renamed = await pipeline.reconfigured({ name });
  expect(await renamed.run("check")).toMatchObject({ exitCode: 1, stdout: expect.stringContaining(pipeline.name) });
  const { message } = await expectRefused(renamed, ["run", "--once"], "TABLE_OF_OTHER_PIPELINE");
  expect(message).toContain(pipeline.name);
  await thingsOf(pipeline).deleteOne({ _id: 5 });

  await takeOver(renamed);
  const { stderr } = await runOnce(renamed);
  expect(stderr).toContain("the table was taken over from another pipeline or collection");
  expect(stderr).not.toContain("lost");
  await expectEqual(renamed);
  expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4]);
  // Now it is the old name's turn to be refused.
  await expectRefused(pipeline, ["run", "--once"], "TABLE_OF_OTHER_PIPELINE");
});

test("a running consumer stops when another pipeline takes its table over", async () => {
  const pipeline = await pipelineOfThings();
  const consumer = pipeline.start("consume");
  pipeline.start("produce");
  await insertThings(pipeline, 6, 6);
  await vi.waitFor(async () => expect(await idsIn(pipeline)).toContain(6), 60_000);
  const renamed = await pipeline.reconfigured({ name: uniqueName("pipeline") });
  const refused = await renamed.run("take-over", "--all", "--yes");
  expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("PIPELINE_RUNNING") });
  // As it would be with a pipeline on another Kafka, which take-over cannot see.
  await pipeline.pool.query("UPDATE headrace.tables SET pipeline = 'x', topic = 'x' WHERE pipeline = $1", [
    pipeline.name,
  ]);
  await insertThings(pipeline, 7, 7);
  expect(await consumer.end()).toBe(1);
  expect(consumer.logTail()).toContain("TABLE_OF_OTHER_PIPELINE");
  expect(await idsIn(pipeline)).not.toContain(7);
});

test("a table that goes back to its former owner does not step back to what that one had not applied", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: 1 } });
  const topic = topicOf(pipeline.name, pipeline.db.databaseName, "things");
  const producer = pipeline.start("produce");
  await insertThings(pipeline, 6, 6);
  const unread = await vi.waitFor(async () => {
    const end = await topicEnd(topic);
    expect(end).toBeGreaterThan(await appliedUpTo(pipeline, topic));
    return end;
  }, 60_000);
  await producer.stop();
  const renamed = await pipeline.reconfigured({ name: uniqueName("pipeline") });
  await takeOver(renamed);
  await runOnce(renamed);
  expect(await idsIn(pipeline)).toContain(6);
  await thingsOf(pipeline).deleteOne({ _id: 6 });
  await runOnce(renamed);
  expect(await idsIn(pipeline)).not.toContain(6);

  await takeOver(pipeline);
  // Without a producer there is no copy that would repair it.
  pipeline.start("consume");
  // The last offset is the marker's of the transaction.
  await vi.waitFor(async () => expect(await appliedUpTo(pipeline, topic)).toBeGreaterThanOrEqual(unread - 1n), 60_000);
  expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 5]);
});

test("a table with rows of a time that MongoDB has not reached is not taken over", async () => {
  const pipeline = await pipelineOfThings();
  const relation = `"${pipeline.schema}"."things"`;
  const renamed = await pipeline.reconfigured({ name: uniqueName("pipeline") });
  // As of another cluster, whose clock is ahead by an hour.
  for (const change of [
    `UPDATE ${relation} SET _version = _version + (3600::bigint << 32) WHERE _id = 1`,
    `DELETE FROM ${relation} WHERE _id = 1;
     INSERT INTO headrace.tombstones (relation, key, version, deleted_at)
     SELECT relation, '1', version + (3600::bigint << 32), now() FROM headrace.watermark WHERE relation = '${relation}'`,
  ]) {
    await pipeline.pool.query(change);
    await expectRefused(renamed, ["take-over", "--all", "--yes"], "MONGODB_CLOCK_BEHIND");
    await expectRefused(renamed, ["run", "--once"], "TABLE_OF_OTHER_PIPELINE");
  }
  await expectDone(pipeline, "remove", "--collection", "things", "--tables", "--yes");
  await runUntilEqual(renamed);
});

test.each([
  ["while the consumer has records to apply", "produce"],
  ["while no producer runs either", null],
])("whoever waits for a table that the consumer refuses gets its error, %s", async (_, side) => {
  const pipeline = await pipelineOfThings();
  const renamed = await pipeline.reconfigured({ name: uniqueName("pipeline") });
  await expectRefused(renamed, ["run", "--once"], "TABLE_OF_OTHER_PIPELINE");
  if (side !== null) renamed.start(side);
  await expectRefused(renamed, ["status", "--wait-for", "now", "--timeout", "300"], "TABLE_OF_OTHER_PIPELINE");
});

test("whoever writes to a table that was taken over, or waits for it, gets the consumer's error", async () => {
  const pipeline = await thingsWithLetter();
  const renamed = await pipeline.reconfigured({ name: uniqueName("pipeline") });
  await takeOver(renamed);
  await pipeline.pool.query("ALTER TABLE things DROP CONSTRAINT small");
  for (const command of [
    ["dlq", "replay"],
    ["resync", "--all", "--wait"],
    ["snapshot", "--collection", "things", "--wait"],
    ["verify", "--repair"],
  ])
    await expectRefused(pipeline, command, "TABLE_OF_OTHER_PIPELINE");
  await takeOver(pipeline);
  await runOnce(pipeline);
  expect(await pipeline.run("dlq", "replay")).toMatchObject({ exitCode: 0 });
});

test("dlq replay does not wait for what only a consumer can settle: a table that was truncated", async () => {
  const pipeline = await thingsWithLetter();
  await pipeline.pool.query("TRUNCATE things");
  expect(await pipeline.run("dlq", "replay")).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/TABLE_REPLACED[^]*headrace consume/),
  });
  await pipeline.pool.query("ALTER TABLE things DROP CONSTRAINT small");
  await runUntilEqual(pipeline);
  expect(await pipeline.run("dlq", "replay")).toMatchObject({ exitCode: 0 });
});

test("another database under the same name is refused by producer and consumer", async () => {
  const pipeline = await pipelineOfThings();
  const other = await freshMongoDatabase();
  await other.db.collection<{ _id: number }>("things").insertOne({ _id: 9 });
  const moved = await pipeline.reconfigured({ mongodb: { database: other.name } });
  await expectRefused(moved, ["produce"], "POSITION_OF_OTHER_DATABASE");
  await expectRefused(moved, ["consume"], "TABLE_OF_OTHER_SOURCE");
  expect(await moved.run("check")).toMatchObject({
    exitCode: 1,
    stdout: expect.stringContaining(pipeline.db.databaseName),
  });
  await runUntilEqual(pipeline);
});

test("take-over refuses tables of another database, and the way that it names leads on", async () => {
  const pipeline = await pipelineOfThings();
  const other = await freshMongoDatabase();
  await other.db.collection<{ _id: number }>("things").insertOne({ _id: 9 });
  const moved = await pipeline.reconfigured({ mongodb: { database: other.name } });
  const renamed = await pipeline.reconfigured({
    name: uniqueName("pipeline"),
    mongodb: { database: other.name },
  });
  for (const args of [["--all"], ["--collection", "things"]]) {
    await expectRefused(moved, ["take-over", ...args, "--yes"], "POSITION_OF_OTHER_DATABASE");
    await expectRefused(renamed, ["take-over", ...args, "--yes"], "TABLE_OF_OTHER_SOURCE");
  }
  await runUntilEqual(pipeline);

  const { stderr } = await renamed.run("take-over", "--all", "--yes");
  expect(stderr).toContain("headrace remove --collection things --tables");
  await expectDone(pipeline, "remove", "--collection", "things", "--tables", "--yes");
  await runUntilEqual(renamed);
  expect(await idsIn(pipeline)).toEqual([9]);
});

test("another collection in the same table is refused", async () => {
  const pipeline = await pipelineOfThings();
  await pipeline.db.collection<{ _id: number }>("others").insertOne({ _id: 1 });
  const swapped = await pipeline.reconfigured({ collections: { others: { idType: "integer", table: "things" } } });
  await expectRefused(swapped, ["run", "--once"], "TABLE_OF_OTHER_SOURCE");
});

test.each([
  ["string", "mixed"],
  ["mixed", "string"],
])("another idType than the registered one is refused: %s, then %s", async (before, after) => {
  const pipeline = await freshPipeline({ collections: { notes: { idType: before } } });
  await pipeline.db.collection<{ _id: string }>("notes").insertOne({ _id: "a" });
  await runUntilEqual(pipeline);
  const changed = await pipeline.reconfigured({ collections: { notes: { idType: after } } });
  await expectRefused(changed, ["produce"], "ID_TYPE_CHANGED");
  expect(await changed.run("check")).toMatchObject({ exitCode: 1, stdout: expect.stringContaining("idType") });
  const { rows } = await pipeline.pool.query("SELECT count(*)::int AS count FROM notes");
  expect(rows).toEqual([{ count: 1 }]);
});

test("two pipelines cannot begin to fill one table", async () => {
  const pipeline = await freshPipeline({ collections: INTEGER_IDS });
  await insertThings(pipeline, 1, 5);
  const second = await pipeline.reconfigured({ name: uniqueName("pipeline") });
  await runOnce(pipeline);
  await expectRefused(second, ["run", "--once"], "TABLE_OF_OTHER_PIPELINE");
});

test("take-over says plainly where the owner is the pipeline itself", async () => {
  const pipeline = await pipelineOfThings();
  const own = await pipeline.run("take-over", "--collection", "things", "--yes");
  expect(own).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("belong to this pipeline already") });

  await pipeline.db.collection<{ _id: number }>("others").insertOne({ _id: 9 });
  const swapped = await pipeline.reconfigured({ collections: { others: { idType: "integer", table: "things" } } });
  const { stdout, exitCode } = await swapped.run("take-over", "--collection", "others", "--yes");
  expect(stdout).toMatch(/things +of this pipeline, but filled from another collection, from now on for .* others/);
  expect(exitCode).toBe(0);
  await runUntilEqual(swapped);
  expect(await idsIn(pipeline)).toEqual([9]);
});

/** A pipeline of things whose table has refused one. */
async function thingsWithLetter(): Promise<Pipeline> {
  const pipeline = await pipelineOfThings();
  await pipeline.pool.query("ALTER TABLE things ADD CONSTRAINT small CHECK ((doc->>'n')::int < 100)");
  await thingsOf(pipeline).updateOne({ _id: 1 }, { $set: { n: 500 } });
  await runOnce(pipeline);
  expect((await pipeline.run("dlq", "list")).stdout).toContain("CONSTRAINT_VIOLATED");
  return pipeline;
}

function takeOver(commands: Commands): Promise<void> {
  return expectDone(commands, "take-over", "--all", "--yes");
}

async function expectDone(commands: Commands, ...args: string[]): Promise<void> {
  const result = await commands.run(...args);
  expect(result, result.stderr).toMatchObject({ exitCode: 0 });
}

/** The offset up to which the consumer has applied a topic of one partition. */
async function appliedUpTo({ pool }: Pipeline, topic: string): Promise<bigint> {
  const { rows } = await pool.query<{ next: string }>(
    "SELECT next_offset::text AS next FROM headrace.progress WHERE topic = $1",
    [topic],
  );
  return BigInt(rows[0]?.next ?? 0);
}

async function topicEnd(topic: string): Promise<bigint> {
  const [end] = await asKafkaAdmin((admin) => admin.fetchTopicOffsets(topic));
  return BigInt(end?.high ?? 0);
}
