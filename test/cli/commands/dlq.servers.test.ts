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
    expect(await list(pipeline, "--until", "1h")).toEqual([]);
    expect((await pipeline.run("dlq", "list", "--key", "z")).stdout).toBe("No open dead letters match.\n");
    expect((await pipeline.run("dlq", "replay", "--key", "z")).stdout).toBe("No open dead letters match.\n");
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
    for (const command of ["replay", "discard"]) {
      const closed = await pipeline.run("dlq", command, id);
      expect(closed).toMatchObject({ exitCode: 1, stdout: "" });
      expect(closed.stderr).toMatch(/DEAD_LETTER_CLOSED: .* is closed already: replayed/);
    }
    expect((await pool.query("SELECT _id FROM items ORDER BY 1")).rows).toEqual([{ _id: "a" }, { _id: "b" }]);
  });

  test("replay writes its retries for people on stderr, and only the result on stdout", async () => {
    const pipeline = await freshPipeline({ collections: { items: {} } });
    await pipeline.pool.query("CREATE TABLE items (_id text PRIMARY KEY, doc jsonb)");
    await pipeline.pool.query("CREATE UNIQUE INDEX one_n ON items ((doc->'n'))");
    const items = pipeline.db.collection<{ _id: string; n: number }>("items");
    await items.insertMany([
      { _id: "a", n: 1 },
      { _id: "b", n: 1 },
    ]);
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    const { stdout, stderr } = await pipeline.run("dlq", "replay");
    expect(stdout).toBe("0 replayed.\n1 failed again. `headrace dlq list` shows the errors.\n");
    expect(stderr).toMatch(
      /^warning: trying again \(topic .*\.items, partition \d\): CONSTRAINT_VIOLATED: PostgreSQL: 23505 .*"one_n"\.\n +Correct the document, .*\n$/,
    );
    const json = await pipeline.run("dlq", "replay", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ failed: 1 });
    expect(json.stderr).toMatch(/^warning: trying again /);
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

  test.each(["list", "replay", "discard"])("%s refuses a table or an error that cannot have any", async (command) => {
    const pipeline = await freshPipeline({ collections: { items: {}, carts: { table: "baskets" } } });
    const table = await pipeline.run("dlq", command, "--table", "carts");
    expect(table).toMatchObject({ exitCode: 2, stdout: "" });
    const known = `${pipeline.schema}.baskets, ${pipeline.schema}.items`;
    expect(table.stderr).toContain(
      `UNKNOWN_TABLE: No dead letter and no collection of the config has the table "carts".`,
    );
    expect(table.stderr).toContain(known);
    for (const error of ["CONSTRAINT_VIOLATE", "2350", "p0001"]) {
      const wrong = await pipeline.run("dlq", command, "--error", error);
      expect(wrong).toMatchObject({ exitCode: 2, stdout: "" });
      expect(wrong.stderr).toContain("Give a code of docs/errors.md, or a SQLSTATE such as 23505.");
    }
    for (const filter of [
      ["--table", "items"],
      ["--table", `${pipeline.schema}.baskets`],
      ["--error", "CONSTRAINT_VIOLATED"],
      ["--error", "23505"],
    ])
      expect((await pipeline.run("dlq", command, ...filter)).exitCode, filter.join(" ")).toBe(0);
  });

  test("a table that only dead letters name can be chosen, also when they are closed", async () => {
    const pipeline = await freshPipeline({ collections: { items: {}, carts: {} } });
    await pipeline.pool.query("CREATE TABLE carts (_id text PRIMARY KEY, doc jsonb CHECK (doc IS NULL))");
    await pipeline.db.collection("carts").insertOne({ a: 1 });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    const smaller = await pipeline.reconfigured({ collections: { items: {} } });
    expect(JSON.parse((await smaller.run("dlq", "list", "--json", "--table", "carts")).stdout)).toHaveLength(1);
    expect((await smaller.run("dlq", "discard", "--table", "carts")).stdout).toBe("1 discarded.\n");
    expect((await smaller.run("dlq", "list", "--table", "carts")).stdout).toBe("No open dead letters match.\n");
    expect((await smaller.run("dlq", "list", "--table", "cart")).stderr).toContain(`${pipeline.schema}.carts`);
  });

  test("a pipeline of a whole database knows the tables of its topics", async () => {
    const pipeline = await freshPipeline();
    await pipeline.db.collection("items").insertOne({ a: 1 });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    expect(await list(pipeline, "--table", "items")).toEqual([]);
    const { exitCode, stderr } = await pipeline.run("dlq", "list", "--table", "item");
    expect(stderr).toContain(`${pipeline.schema}.items`);
    expect(exitCode).toBe(2);
  });

  test("lists nothing for a pipeline that has never run, and refuses an unknown id", async () => {
    const pipeline = await freshPipeline({ collections: { items: {} } });
    expect(await list(pipeline)).toEqual([]);
    for (const command of ["show", "replay", "discard"]) {
      const { exitCode, stdout, stderr } = await pipeline.run("dlq", command, "no/0/1");
      expect(stderr).toContain('UNKNOWN_DEAD_LETTER: There is no dead letter "no/0/1"');
      expect(stdout).toBe("");
      expect(exitCode).toBe(1);
    }
  });
});

async function send(topic: string, message: { readonly key: string; readonly value: string }): Promise<void> {
  const kafka = new Kafka({ brokers: servers().kafkaBrokers.split(","), logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic, messages: [message] });
  await producer.disconnect();
}
