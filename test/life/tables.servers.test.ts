// What happens to a table: another one in the config, dropped columns, replaced, truncated, rewritten, restored.
import type { Pool } from "pg";
import { expect, test, vi } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";
import {
  expectEqual,
  expectRefused,
  idsIn,
  insertThings,
  runOnce,
  runUntilEqual,
  thingsOf,
  watermarkOf,
  pipelineOfThings,
} from "./things.ts";

test("a collection that gets another table in the config is copied into it, and the old table is left as it is", async () => {
  const pipeline = await pipelineOfThings();
  await thingsOf(pipeline).deleteOne({ _id: 5 });
  const renamed = await pipeline.reconfigured({ collections: { things: { idType: "integer", table: "new_things" } } });
  const { stderr } = await runOnce(renamed);
  expect(stderr).toContain("the old table stays as it is");
  await runUntilEqual(renamed);
  expect(await idsIn(pipeline, "new_things")).toEqual([1, 2, 3, 4]);
  expect(await idsIn(pipeline, "things")).toEqual([1, 2, 3, 4, 5]);
  expect(await watermarkOf(pipeline, "things")).toBeNull();
  expect(await watermarkOf(pipeline, "new_things")).not.toBeNull();

  // Back to the first table, which has missed changes.
  await insertThings(pipeline, 6, 7);
  await runUntilEqual(renamed);
  await runOnce(pipeline);
  await runUntilEqual(pipeline);
  expect(await idsIn(pipeline, "things")).toEqual([1, 2, 3, 4, 6, 7]);
});

test("status does not wait for, and does not show as complete, a table that the consumer has still to fill", async () => {
  const pipeline = await pipelineOfThings();
  const renamed = await pipeline.reconfigured({ collections: { things: { idType: "integer", table: "others" } } });
  pipeline.start("produce");
  const waited = await renamed.run("status", "--wait-for", "now", "--timeout", "3");
  expect(waited).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("CATCH_UP_TIMEOUT") });
  expect((await renamed.run("status")).stdout).toMatch(/incomplete +\S+\.others: /);
  renamed.start("consume");
  expect(await renamed.run("status", "--wait-for", "now", "--timeout", "60")).toMatchObject({ exitCode: 0 });
  expect(await idsIn(pipeline, "others")).toEqual([1, 2, 3, 4, 5]);
});

/** What pg_restore makes of tables: the same content in new ones, with new oids. */
async function restored(pool: Pool, names: readonly (readonly [schema: string, table: string])[]): Promise<void> {
  for (const [of, name] of names) {
    await pool.query(`BEGIN; CREATE TABLE "${of}".copy (LIKE "${of}"."${name}" INCLUDING ALL);
INSERT INTO "${of}".copy SELECT * FROM "${of}"."${name}"; DROP TABLE "${of}"."${name}";
ALTER TABLE "${of}".copy RENAME TO "${name}"; COMMIT`);
  }
}

test("a table that was truncated while nothing runs is filled again", async () => {
  const pipeline = await pipelineOfThings();
  await pipeline.pool.query("TRUNCATE things");
  await insertThings(pipeline, 6, 6);
  const { stderr } = await runOnce(pipeline);
  expect(stderr).toContain("the table was truncated or rewritten");
  await runUntilEqual(pipeline);
  expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 5, 6]);
});

test.each([
  ["truncated", ["TRUNCATE things"]],
  [
    "replaced by an empty one",
    [
      "CREATE TABLE stand_in (LIKE things INCLUDING ALL)",
      "ALTER TABLE things RENAME TO gone",
      "ALTER TABLE stand_in RENAME TO things",
    ],
  ],
])("a table that is %s while changes are applied is filled again", async (_, statements) => {
  const pipeline = await pipelineOfThings();
  pipeline.start("run");
  await insertThings(pipeline, 6, 6);
  await expectEqual(pipeline, "--wait", "60");
  for (const statement of statements) await pipeline.pool.query(statement);
  await insertThings(pipeline, 7, 7);
  await vi.waitFor(async () => expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 5, 6, 7]), 60_000);
});

test("a table that is truncated while nothing changes is filled again", async () => {
  const pipeline = await pipelineOfThings();
  pipeline.start("run");
  await expectEqual(pipeline, "--wait", "60");
  await pipeline.pool.query("TRUNCATE things");
  await vi.waitFor(async () => expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 5]), 60_000);
});

test("a table that is dropped while nothing changes is refused by a running consumer, check, status and each start", async () => {
  const pipeline = await pipelineOfThings();
  const running = pipeline.start("run");
  await expectEqual(pipeline, "--wait", "60");
  await pipeline.pool.query("ALTER TABLE things RENAME TO gone");
  expect(await running.end()).toBe(1);
  expect(running.logTail()).toContain("TABLE_DROPPED");
  for (const command of [["check"], ["run", "--once"], ["consume"], ["status", "--wait-for", "now"]])
    await expectRefused(pipeline, command, "TABLE_DROPPED");
  await pipeline.pool.query("ALTER TABLE gone RENAME TO things");
  await runUntilEqual(pipeline);
});

test("a table that PostgreSQL has rewritten is not copied again", async () => {
  const pipeline = await pipelineOfThings();
  await pipeline.pool.query("VACUUM FULL things");
  await insertThings(pipeline, 6, 6);
  const { stderr } = await runOnce(pipeline);
  expect(stderr).not.toContain("copied into the table again");
  await runUntilEqual(pipeline);
});

test.each([
  ["loaded again from an older copy", "TRUNCATE things; INSERT INTO things SELECT * FROM old"],
  ["truncated and vacuumed", "TRUNCATE things; VACUUM FULL things"],
  ["written anew by a change of a type", "ALTER TABLE things ALTER COLUMN n TYPE bigint USING 0"],
])("a table that was %s is filled again", async (_, statements) => {
  const columns = { n: "bigint" };
  const pipeline = await freshPipeline({ collections: { things: { idType: "integer", columns } } });
  await pipeline.pool.query("CREATE TABLE things (_id bigint PRIMARY KEY, _version bigint, n integer, _extra jsonb)");
  await insertThings(pipeline, 1, 5);
  await runUntilEqual(pipeline);
  await pipeline.pool.query("CREATE TABLE old AS SELECT * FROM things WHERE _id > 1");
  await thingsOf(pipeline).updateMany({}, { $set: { n: 1 } });
  await thingsOf(pipeline).deleteOne({ _id: 5 });
  await runUntilEqual(pipeline);
  for (const statement of statements.split("; ")) await pipeline.pool.query(statement);
  await insertThings(pipeline, 6, 6);
  const { stderr } = await runOnce(pipeline);
  expect(stderr).toContain("the table was truncated or rewritten");
  await runUntilEqual(pipeline);
  expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 6]);
});

test.each([
  ["all of it", "TRUNCATE things"],
  ["a partition", "TRUNCATE things_0"],
])("a partitioned table that was truncated is filled again: %s", async (_, statement) => {
  const pipeline = await freshPipeline({ collections: { things: { idType: "integer" } } });
  await pipeline.pool.query(
    "CREATE TABLE things (_id bigint PRIMARY KEY, _version bigint, doc jsonb) PARTITION BY HASH (_id)",
  );
  for (const remainder of [0, 1])
    await pipeline.pool.query(
      `CREATE TABLE things_${remainder} PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER ${remainder})`,
    );
  await insertThings(pipeline, 1, 20);
  await runUntilEqual(pipeline);
  await pipeline.pool.query(statement);
  const { stderr } = await runOnce(pipeline);
  expect(stderr).toContain("the table was truncated or rewritten");
  await runUntilEqual(pipeline);
  // It is the known one now.
  expect((await runOnce(pipeline)).stderr).not.toContain("the table was truncated or rewritten");
});

test("a table that was restored together with the register, but without its rows, is filled again", async () => {
  const pipeline = await pipelineOfThings();
  const { pool, schema } = pipeline;
  await restored(pool, [
    ["headrace", "tables"],
    [schema, "things"],
  ]);
  await pool.query("DELETE FROM things");
  const { stderr } = await runOnce(pipeline);
  expect(stderr).toContain("restored without its rows");
  await runUntilEqual(pipeline);
});

test("an unlogged table is refused, because a crash of PostgreSQL would empty it", async () => {
  const pipeline = await pipelineOfThings();
  await pipeline.pool.query("ALTER TABLE things SET UNLOGGED");
  expect(await pipeline.run("check")).toMatchObject({ exitCode: 1, stdout: expect.stringContaining("SET LOGGED") });
  const { remedy } = await expectRefused(pipeline, ["run", "--once"], "TABLE_DOES_NOT_FIT");
  await pipeline.pool.query(remedy.replace("Run: ", ""));
  await runUntilEqual(pipeline);
});

test("a table with a rule that leaves rows out is refused by check, each start and status, and works after the remedy", async () => {
  const pipeline = await pipelineOfThings();
  await pipeline.pool.query("CREATE RULE swallow AS ON INSERT TO things WHERE NEW.doc IS NULL DO INSTEAD NOTHING");
  for (const command of [["check"], ["consume"], ["status", "--wait-for", "now"]])
    await expectRefused(pipeline, command, "TABLE_DOES_NOT_FIT");
  const { message, remedy } = await expectRefused(pipeline, ["run", "--once"], "TABLE_DOES_NOT_FIT");
  expect(message).toContain('rule "swallow"');
  await pipeline.pool.query(/\bRun: (.*?;)/.exec(remedy)?.[1] ?? "");
  await runUntilEqual(pipeline);
});

test("a rule that is created while nothing changes is refused by a running consumer", async () => {
  const pipeline = await pipelineOfThings();
  const running = pipeline.start("run");
  await expectEqual(pipeline, "--wait", "60");
  await pipeline.pool.query("CREATE RULE swallow AS ON DELETE TO things DO INSTEAD NOTHING");
  expect(await running.end()).toBe(1);
  expect(running.logTail()).toContain("TABLE_DOES_NOT_FIT");
});

test("a consumer of a whole database refuses a table with a rule at its start", async () => {
  const pipeline = await freshPipeline();
  await pipeline.db.collection("things").insertOne({ n: 1 });
  await runUntilEqual(pipeline);
  await pipeline.pool.query("CREATE RULE swallow AS ON INSERT TO things DO INSTEAD NOTHING");
  await expectRefused(pipeline, ["consume"], "TABLE_DOES_NOT_FIT");
});

test("a table that was restored together with the register is not copied again, and catches up", async () => {
  const pipeline = await pipelineOfThings();
  const { pool, schema } = pipeline;
  await restored(pool, [
    ["headrace", "tables"],
    [schema, "things"],
  ]);
  await insertThings(pipeline, 6, 6);
  const { stderr } = await runOnce(pipeline);
  expect(stderr).not.toContain("copied into the table again");
  await runUntilEqual(pipeline);
});

test.each([
  ["dropped", ["ALTER TABLE things DROP COLUMN n"]],
  ["dropped and added again", ["ALTER TABLE things DROP COLUMN n", "ALTER TABLE things ADD COLUMN n integer"]],
  [
    "renamed, with a new one in its place",
    ["ALTER TABLE things RENAME COLUMN n TO old", "ALTER TABLE things ADD COLUMN n integer"],
  ],
])("a column that was %s is refused without any change, and filled again after the printed remedy", async (_, ddl) => {
  const columns = { n: "integer" };
  const pipeline = await freshPipeline({ collections: { things: { idType: "integer", columns } } });
  await insertThings(pipeline, 1, 3);
  await runUntilEqual(pipeline);
  for (const statement of ddl) await pipeline.pool.query(statement);
  expect(await pipeline.run("check")).toMatchObject({
    exitCode: 1,
    stdout: expect.stringContaining("COLUMN_DROPPED"),
  });
  const { remedy } = await expectRefused(pipeline, ["run", "--once"], "COLUMN_DROPPED");
  await pipeline.pool.query(/DELETE FROM .*;/.exec(remedy)?.[0] ?? "");
  expect((await pipeline.run("status")).stdout).toContain("incomplete");
  await runUntilEqual(pipeline);
  const { rows } = await pipeline.pool.query("SELECT count(n)::int AS filled FROM things");
  expect(rows).toEqual([{ filled: 3 }]);
});

test("remove --tables drops only tables that PostgreSQL knows as this pipeline's", async () => {
  const pipeline = await pipelineOfThings();
  await pipeline.pool.query("CREATE TABLE users (name text)");
  const without = await pipeline.reconfigured({ collections: { things: { idType: "integer", table: "other" } } });
  const users = await without.run("remove", "--collection", "users", "--tables", "--yes");
  expect(users).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/NOTHING_TO_REMOVE.*users exists but/) });
  expect((await pipeline.pool.query("SELECT to_regclass('users') IS NULL AS dropped")).rows).toEqual([
    { dropped: false },
  ]);
  // The collection's table is the one that was filled, whatever the config says now.
  expect(await without.run("remove", "--collection", "things", "--tables", "--yes")).toMatchObject({ exitCode: 0 });
  expect((await pipeline.pool.query("SELECT to_regclass('things') IS NULL AS dropped")).rows).toEqual([
    { dropped: true },
  ]);
});

test("remove --tables says that a table which an earlier removal has left stays", async () => {
  const pipeline = await pipelineOfThings();
  expect(await pipeline.run("remove", "--collection", "things", "--yes")).toMatchObject({ exitCode: 0 });
  const producer = pipeline.start("produce");
  await producer.logged("snapshot done");
  await producer.stop();
  const removed = await pipeline.run("remove", "--collection", "things", "--tables", "--yes");
  expect(removed, removed.stderr).toMatchObject({ exitCode: 0 });
  expect(removed.stdout).toContain(`${pipeline.schema}.things exists but is not known as this pipeline's; it stays.`);
  expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 5]);
});
