import { Kafka, logLevel } from "kafkajs";
import { expect, test } from "vitest";
import { INTERNAL_TABLE_NAMES } from "../../../src/consumers/postgres/internal-tables.ts";
import { consumerGroup, topicOf } from "../../../src/schemas/topics.ts";
import { freshPipeline } from "../../support/pipeline.ts";
import type { Pipeline } from "../../support/pipeline.ts";
import { servers } from "../../support/servers.ts";

interface Thing {
  _id: number | string;
}

/** A pipeline with two replicated collections. Each has a document that cannot be a row, and a deleted document. */
async function replicated(): Promise<Pipeline> {
  const pipeline = await freshPipeline({ collections: { one: { idType: "integer" }, two: { idType: "integer" } } });
  for (const name of ["one", "two"]) {
    await pipeline.db.collection<Thing>(name).insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }, { _id: "odd" }]);
  }
  await succeed(pipeline, "run", "--once");
  for (const name of ["one", "two"]) await pipeline.db.collection<Thing>(name).deleteOne({ _id: 3 });
  await succeed(pipeline, "run", "--once");
  return pipeline;
}

async function succeed(pipeline: Pipeline, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await pipeline.run(...args);
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

/** What exists of a pipeline, or of one of its collections, by kind. */
async function remains({ name, db, pool, schema }: Pipeline, collection?: string): Promise<Record<string, string[]>> {
  const prefix = collection === undefined ? `${name}.` : topicOf(name, db.databaseName, collection);
  const admin = new Kafka({ brokers: servers().kafkaBrokers.split(","), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
  const { groups } = await admin.listGroups();
  await admin.disconnect();
  const subjects = (await (await fetch(`${servers().schemaRegistryUrl}/subjects`)).json()) as string[];
  const rows: string[] = [];
  for (const table of INTERNAL_TABLE_NAMES) {
    const { rows: found } = await pool.query<{ row: string }>(
      `SELECT row_to_json(t)::text AS row FROM headrace.${table} t`,
    );
    const relation = `"${schema}\\".\\"${collection ?? ""}`;
    rows.push(
      ...found.map(({ row }) => `${table} ${row}`).filter((row) => row.includes(prefix) || row.includes(relation)),
    );
  }
  const { rows: tables } = await pool.query<{ tablename: string }>(
    "SELECT tablename FROM pg_tables WHERE schemaname = $1",
    [schema],
  );
  return {
    topics,
    groups: groups.map(({ groupId }) => groupId).filter((id) => id === consumerGroup(name)),
    subjects: subjects.filter((subject) => subject.startsWith(prefix)),
    rows,
    tables: tables.map(({ tablename }) => tablename).filter((each) => collection === undefined || each === collection),
  };
}

async function openDeadLetters(pipeline: Pipeline): Promise<string[]> {
  const letters = JSON.parse(await succeed(pipeline, "dlq", "list", "--json")) as { id: string; topic: string }[];
  return letters.map(({ id, topic }) => `${id} of ${topic}`);
}

test("a stopped pipeline is removed completely, and can start again from nothing", async () => {
  const pipeline = await replicated();
  const running = pipeline.start("run");
  await running.logged('"partitions"');
  const refused = await pipeline.run("remove", "--pipeline", "--tables", "--yes");
  expect(refused.stderr).toContain("PIPELINE_RUNNING");
  expect(refused.exitCode).toBe(1);
  await running.stop();

  const unasked = await pipeline.run("remove", "--pipeline", "--tables");
  expect(unasked.stdout).toContain(`topic            ${topicOf(pipeline.name, pipeline.db.databaseName, "one")}`);
  expect(unasked.exitCode).toBe(2);
  expect((await remains(pipeline))["topics"]).toHaveLength(5);

  await succeed(pipeline, "remove", "--pipeline", "--tables", "--yes");
  expect(await remains(pipeline)).toEqual({ topics: [], groups: [], subjects: [], rows: [], tables: [] });
  expect((await pipeline.run("remove", "--pipeline", "--tables", "--yes")).exitCode).toBe(2);

  await succeed(pipeline, "run", "--once");
  expect((await pipeline.pool.query("SELECT _id::int FROM one ORDER BY 1")).rows).toEqual([{ _id: 1 }, { _id: 2 }]);
  expect(await openDeadLetters(pipeline)).toHaveLength(2);
});

test("one collection is removed completely, and the others stay as they are", async () => {
  const pipeline = await replicated();
  const others = await remains(pipeline, "two");
  const [, letterOfTwo] = await openDeadLetters(pipeline);
  expect(await succeed(pipeline, "remove", "--collection", "one", "--tables", "--yes")).toContain(
    "from a new snapshot",
  );
  const { groups, ...ofOne } = await remains(pipeline, "one");
  expect(ofOne).toEqual({ topics: [], subjects: [], rows: [], tables: [] });
  expect(groups).toHaveLength(1);
  expect(await remains(pipeline, "two")).toEqual(others);
  expect(await openDeadLetters(pipeline)).toEqual([letterOfTwo]);
  expect((await pipeline.run("remove", "--collection", "one", "--tables", "--yes")).exitCode).toBe(2);

  await pipeline.db.collection<Thing>("two").insertOne({ _id: 4 });
  await succeed(pipeline, "run", "--once");
  expect((await pipeline.pool.query("SELECT _id::int FROM one ORDER BY 1")).rows).toEqual([{ _id: 1 }, { _id: 2 }]);
  expect((await pipeline.pool.query("SELECT _id::int FROM two ORDER BY 1")).rows).toHaveLength(3);
  expect(await openDeadLetters(pipeline)).toHaveLength(2);
});

test("a collection whose table was dropped by hand is removed with all rows about the table", async () => {
  const pipeline = await replicated();
  await pipeline.pool.query("DROP TABLE one");
  expect(await succeed(pipeline, "remove", "--collection", "one", "--yes")).not.toContain("tables stay");
  expect((await remains(pipeline, "one"))["rows"]).toEqual([]);
  await succeed(pipeline, "run", "--once");
  expect((await pipeline.pool.query("SELECT _id::int FROM one ORDER BY 1")).rows).toEqual([{ _id: 1 }, { _id: 2 }]);
});

test("nothing to remove is said, with exit code 2", async () => {
  const pipeline = await freshPipeline({ collections: { things: {} } });
  for (const [args, what] of [
    [["--pipeline"], `nothing of the pipeline ${pipeline.name}`],
    [["--collection", "things", "--tables"], `nothing of the collection "things" of the pipeline ${pipeline.name}`],
  ] as const) {
    const { exitCode, stdout, stderr } = await pipeline.run("remove", ...args, "--yes");
    expect(stderr).toContain("NOTHING_TO_REMOVE");
    expect(stderr).toContain(what);
    expect(stdout).toBe("");
    expect(exitCode).toBe(2);
  }
});

test("--collection and --pipeline: one of them must be given, not both", async () => {
  const pipeline = await freshPipeline();
  expect((await pipeline.run("remove", "--yes")).exitCode).toBe(2);
  expect((await pipeline.run("remove", "--pipeline", "--collection", "a", "--yes")).exitCode).toBe(2);
});
