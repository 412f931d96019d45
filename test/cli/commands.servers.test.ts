import { Kafka, logLevel } from "kafkajs";
import { escapeIdentifier } from "pg";
import { describe, expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { freshPostgresUser, servers } from "../support/servers.ts";
import { spawnHeadrace } from "./spawn-headrace.ts";

describe("if a server cannot be reached at the start", () => {
  test.concurrent.each([
    ["MongoDB", "run", { mongodb: { uri: "mongodb://me:hunter2@127.0.0.1:1/?connectTimeoutMS=500" } }],
    ["Kafka", "consume", { kafka: { brokers: "127.0.0.1:1" } }],
    ["The schema registry", "produce", { schemaRegistry: { url: "http://me:hunter2@127.0.0.1:2" } }],
    ["PostgreSQL", "consume", { postgres: { url: "postgres://me:hunter2@127.0.0.1:1/db" } }],
  ])(
    "the error names the server, %s, and the exit code is 1: headrace %s",
    { timeout: 180_000 },
    async (server, command, config) => {
      const pipeline = await freshPipeline({ ...config, log: { level: "warn" } });
      const { exitCode, stderr } = await pipeline.run(command);
      const [fatal] = stderr.trimEnd().split("\n").slice(-1);
      expect(JSON.parse(fatal ?? "")).toMatchObject({
        level: "error",
        msg: expect.stringMatching(/^stopped by [A-Z_]+$/),
        err: {
          message: expect.stringMatching(new RegExp(`^${server} at 127\\.0\\.0\\.1:\\d`)),
          remedy: expect.stringContaining("Check"),
        },
      });
      expect(stderr).not.toContain("hunter2");
      expect(exitCode).toBe(1);
    },
  );
});

describe("headrace run", () => {
  test("waits for a collection of the config that does not exist, and says so", async () => {
    const pipeline = await freshPipeline({ collections: { late: {}, things: {} } });
    await pipeline.db.collection("things").insertOne({ a: 1 });
    const { exitCode, stderr } = await pipeline.run("run", "--once");
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toMatch(/"late":"it does not exist".*waiting for them/);
    expect(await tablesOf(pipeline)).toEqual(["things"]);
    await pipeline.db.collection("late").insertMany([{ a: 2 }, { a: 3 }]);
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    expect((await pipeline.pool.query("SELECT doc->'a' AS a FROM late ORDER BY 1")).rows).toEqual([{ a: 2 }, { a: 3 }]);
  });

  test("exits with code 1 if it may not write to a table, and creates nothing", async () => {
    const owner = await freshPipeline();
    await owner.pool.query("CREATE TABLE things (_id text PRIMARY KEY)");
    const user = await freshPostgresUser();
    const { name: database } = new URL(servers().postgresUrl).pathname.match(/\/(?<name>.*)/)?.groups ?? {};
    await owner.pool.query(`GRANT CREATE ON DATABASE ${escapeIdentifier(database ?? "")} TO ${user.name}`);
    await owner.pool.query(`GRANT USAGE, CREATE ON SCHEMA ${owner.schema} TO ${user.name}`);
    await owner.pool.query(
      `CREATE SCHEMA IF NOT EXISTS headrace; GRANT USAGE, CREATE ON SCHEMA headrace TO ${user.name}`,
    );
    const pipeline = await freshPipeline({
      postgres: { url: user.url, schema: owner.schema },
      collections: { things: {} },
    });
    await pipeline.db.collection("things").insertOne({ a: 1 });
    const { exitCode, stderr } = await pipeline.run("run", "--once");
    expect(stderr).toContain(`may not write to \\"${owner.schema}\\".\\"things\\"`);
    expect(stderr).toContain("may not extend the table");
    expect(exitCode).toBe(1);
    expect((await owner.pool.query("SELECT * FROM things")).rows).toEqual([]);
    expect(await topicsOf(pipeline)).toEqual([]);
  });

  test("--once copies every collection of the database; the next --once applies only what changed since", async () => {
    const pipeline = await freshPipeline();
    const { db, pool } = pipeline;
    await db.collection("things").insertMany(Array.from({ length: 5_000 }, (_, n) => ({ n })));
    await db.collection<{ _id: string; name: string }>("People of note").insertOne({ _id: "ada", name: "Ada" });
    await db.createCollection("aView", { viewOn: "things", pipeline: [] });

    const first = await pipeline.run("run", "--once");
    expect(first.exitCode, first.stderr).toBe(0);
    expect((await pool.query("SELECT count(*)::int AS rows FROM things")).rows).toEqual([{ rows: 5_000 }]);
    expect((await pool.query('SELECT _id, doc FROM "People of note"')).rows).toEqual([
      { _id: "ada", doc: { _id: "ada", name: "Ada" } },
    ]);
    expect(await tablesOf(pipeline)).toEqual(["People of note", "things"]);
    const progress = await progressOf(pipeline);

    const second = await pipeline.run("run", "--once");
    expect(second.exitCode, second.stderr).toBe(0);
    expect(await progressOf(pipeline)).toEqual(progress);

    await db.collection("things").updateOne({ n: 7 }, { $set: { n: -7 } });
    await db.collection("things").deleteOne({ n: 8 });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    const { rows } = await pool.query("SELECT doc->'n' AS n FROM things WHERE (doc->>'n')::int IN (-7, 7, 8)");
    expect(rows).toEqual([{ n: -7 }]);
  });

  test("in snapshot mode `only` copies and exits", async () => {
    const pipeline = await freshPipeline({ snapshot: { mode: "only" } });
    await pipeline.db.collection("things").insertOne({ a: 1 });
    const { exitCode, stderr } = await pipeline.run("run");
    expect(exitCode, stderr).toBe(0);
    expect((await pipeline.pool.query("SELECT doc->'a' AS a FROM things")).rows).toEqual([{ a: 1 }]);
  });

  test("serves /metrics, /readyz and /status", async () => {
    const pipeline = await freshPipeline({ http: { port: 0 } });
    await pipeline.db.collection("things").insertOne({ a: 1 });
    const run = spawnHeadrace("run", "-c", pipeline.configFile);
    await run.logged("serving metrics");
    const [, port] = /"port":(\d+)/.exec(run.log()) ?? [];
    const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    await expect
      .poll(() => get("/metrics"), { timeout: 60_000 })
      .toContain('headrace_rows_applied_total{table="things"} 1');
    expect(await get("/metrics")).toContain('headrace_events_published_total{collection="things",op="r"} 1');
    expect(await get("/readyz")).toBe("ready\n");
    expect(JSON.parse(await get("/status"))).toMatchObject({
      name: pipeline.name,
      published: 1,
      applied: 1,
      deadLetters: 0,
      position: { snapshots: { things: "done" } },
    });
    expect(await run.end("SIGINT")).toBe(130);
  });
});

describe("SIGTERM", () => {
  test("lets produce and consume finish their work and exit with code 143; a restart resumes there", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} }, snapshot: { chunkDocuments: 100 } });
    const { db, pool, configFile } = pipeline;
    await db.collection("things").insertMany(Array.from({ length: 20_000 }, (_, n) => ({ n })));
    const rows = async () => Number((await pool.query("SELECT count(*) AS n FROM things")).rows[0]?.n);

    const produce = spawnHeadrace("produce", "-c", configFile);
    await produce.logged("snapshot started");
    const consume = spawnHeadrace("consume", "-c", configFile);
    await expect.poll(() => rows().catch(() => 0), { timeout: 60_000 }).toBeGreaterThan(0);
    expect(await produce.end("SIGTERM"), produce.log()).toBe(143);
    expect(await consume.end("SIGTERM"), consume.log()).toBe(143);
    expect(produce.log()).toContain("stopping");

    const { exitCode, stderr } = await pipeline.run("run", "--once");
    expect(exitCode, stderr).toBe(0);
    expect(await rows()).toBe(20_000);
  });
});

describe("headrace status", () => {
  test("shows that a pipeline has never run; later its position, snapshots, partitions and lag", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} }, kafka: { partitions: 2 } });
    await pipeline.db.collection("things").insertMany([{ a: 1 }, { a: 2 }]);
    const status = async () => JSON.parse((await pipeline.run("status", "--json")).stdout) as unknown;
    const nothing = {
      name: pipeline.name,
      position: null,
      producer: { problem: null },
      snapshots: {},
      leftOut: {},
      partitions: [],
      tables: [],
      lag: 0,
      deadLetters: [],
    };
    expect(await status()).toEqual(nothing);
    expect((await pipeline.run("status")).stdout).toContain("headrace produce has never run");

    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    const topic = expect.stringMatching(/\.things$/);
    const partition = { topic, table: "things", endOffset: expect.any(Number), nextOffset: expect.any(Number), lag: 0 };
    expect(await status()).toEqual({
      name: pipeline.name,
      position: {
        clusterTime: expect.stringMatching(/^\d{19}$/),
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        ageMs: expect.any(Number),
      },
      producer: { problem: null },
      snapshots: { things: "done" },
      leftOut: {},
      partitions: [
        { ...partition, partition: 0 },
        { ...partition, partition: 1 },
      ],
      tables: [{ collection: "things", table: `${pipeline.schema}.things`, problem: null }],
      lag: 0,
      deadLetters: [],
    });
  });
});

describe("a command that answers and exits", () => {
  test("logs no info lines, and exits with code 2 for an unknown collection", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} }, log: { level: "info" } });
    await pipeline.db.collection<{ _id: string }>("things").insertMany([{ _id: "a" }, { _id: "no key: \0" }]);
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    for (const question of [["verify"], ["status"], ["dlq", "list"], ["check"]]) {
      expect((await pipeline.run(...question)).stderr, question.join(" ")).toBe("");
    }
    const { exitCode, stderr } = await pipeline.run("verify", "--collection", "thing");
    expect(stderr).toContain("COLLECTION_NOT_REPLICATED");
    expect(exitCode).toBe(2);
  });
});

async function tablesOf({ pool, schema }: Pipeline): Promise<string[]> {
  const { rows } = await pool.query("SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1", [schema]);
  return rows.map(({ tablename }) => String(tablename));
}

async function progressOf({ name, pool }: Pipeline): Promise<unknown[]> {
  const { rows } = await pool.query(
    "SELECT topic, partition, next_offset FROM headrace.progress WHERE topic LIKE $1 ORDER BY 1, 2",
    [`${name}.%`],
  );
  return rows;
}

async function topicsOf({ name }: Pipeline): Promise<string[]> {
  const admin = new Kafka({ brokers: servers().kafkaBrokers.split(","), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return (await admin.listTopics()).filter((topic) => topic.startsWith(`${name}.`));
  } finally {
    await admin.disconnect();
  }
}
