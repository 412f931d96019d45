import { beforeAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/load-config.ts";
import type { Context } from "../../src/operations/context.ts";
import { sendAndWait } from "../../src/operations/signals.ts";
import { createLogger } from "../../src/runtime/logger.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

interface Thing {
  _id: number;
  n: number;
}

/** A pipeline that has replicated twenty documents. */
async function replicated(config: Record<string, Record<string, unknown>> = {}): Promise<Pipeline> {
  const pipeline = await freshPipeline(config);
  await pipeline.db.collection<Thing>("things").insertMany(Array.from({ length: 20 }, (_, _id) => ({ _id, n: _id })));
  const { exitCode, stderr } = await pipeline.run("run", "--once");
  expect(exitCode, stderr).toBe(0);
  return pipeline;
}

/** Changes every row and adds one, as a bug or a person could. */
async function spoil({ pool }: Pipeline): Promise<void> {
  await pool.query(`UPDATE things SET doc = '{"spoiled": true}'`);
  await pool.query("INSERT INTO things (_id, _version, doc) VALUES (1000, 1, '{}')");
}

async function spoiledIds({ pool }: Pipeline): Promise<number[]> {
  const { rows } = await pool.query<{ id: number }>(
    "SELECT _id::int AS id FROM things WHERE NOT doc ? 'n' ORDER BY _id",
  );
  return rows.map(({ id }) => id);
}

async function succeed(pipeline: Pipeline, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await pipeline.run(...args);
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

const ALL = [...Array.from({ length: 20 }, (_, id) => id), 1000];
const without = (...mended: number[]): number[] => ALL.filter((id) => !mended.includes(id));

describe("while the pipeline runs", () => {
  test("snapshot --wait reads the selected documents again, and no others", async () => {
    const pipeline = await replicated();
    pipeline.start("run");
    await spoil(pipeline);
    const ofThings = ["snapshot", "--collection", "things", "--wait"];
    await succeed(pipeline, ...ofThings, "--ids", "3", "4.0", '{"$numberLong":"1000"}');
    expect(await spoiledIds(pipeline)).toEqual(without(3, 4, 1000));
    await succeed(pipeline, ...ofThings, "--filter", '{"n":{"$gte":18}}');
    expect(await spoiledIds(pipeline)).toEqual(without(3, 4, 18, 19, 1000));
    await succeed(pipeline, ...ofThings);
    expect(await spoiledIds(pipeline)).toEqual([]);
  });

  test("resync --wait makes the table equal to the collection", async () => {
    const pipeline = await replicated();
    pipeline.start("run");
    await spoil(pipeline);
    await succeed(pipeline, "resync", "--collection", "things", "--wait");
    expect(await spoiledIds(pipeline)).toEqual([]);
    await succeed(pipeline, "verify");
    await spoil(pipeline);
    await succeed(pipeline, "resync", "--all", "--empty", "--wait");
    expect(await spoiledIds(pipeline)).toEqual([]);
    await succeed(pipeline, "verify");
  });
});

test("without a running producer, the next one that starts carries out the signals", async () => {
  const pipeline = await replicated();
  await spoil(pipeline);
  expect(await succeed(pipeline, "resync", "--collection", "things")).toContain("Sent");
  expect(await spoiledIds(pipeline)).toEqual(ALL);
  await succeed(pipeline, "run", "--once");
  expect(await spoiledIds(pipeline)).toEqual([]);
  await succeed(pipeline, "verify", "--wait", "0");
});

test("a caller may stop waiting for a missing producer; the next one that starts carries out the request", async () => {
  const pipeline = await replicated();
  await spoil(pipeline);
  const context: Context = {
    config: await loadConfig(pipeline.configFile),
    logger: createLogger({ level: "warn" }),
    signal: new AbortController().signal,
  };
  const missing: string[] = [];
  const giveUp = (process: string): boolean => {
    missing.push(process);
    return false;
  };
  expect(await sendAndWait(context, [{ type: "resync", collection: "things" }], giveUp)).toBe(false);
  expect(missing).toEqual(["producer"]);
  expect(await spoiledIds(pipeline)).toEqual(ALL);
  await succeed(pipeline, "run", "--once");
  expect(await spoiledIds(pipeline)).toEqual([]);
});

test("a signal can be sent before the pipeline has ever run", async () => {
  const pipeline = await freshPipeline();
  await pipeline.db.collection<Thing>("things").insertOne({ _id: 1, n: 1 });
  await succeed(pipeline, "snapshot", "--collection", "things", "--ids", "1");
  await succeed(pipeline, "run", "--once");
  expect((await pipeline.pool.query("SELECT _id FROM things")).rows).toEqual([{ _id: "1" }]);
});

const A_FILTER = /SIGNAL_INVALID: .*\n(.*\n)* +Give a MongoDB query/;
const AN_ID = /SIGNAL_INVALID: .*\n(.*\n)* +Give each _id/;
const NEAR = '{"at":{"$near":{"$geometry":{"type":"Point","coordinates":[1,2]}}}}';

describe("wrong usage", () => {
  let pipeline: Pipeline;

  beforeAll(async () => {
    pipeline = await replicated({ collections: { things: {} } });
  });

  test.each([
    [
      "a snapshot of a collection that is not replicated",
      ["snapshot", "--collection", "other"],
      "COLLECTION_NOT_REPLICATED",
    ],
    [
      "a resync of a collection that is not replicated",
      ["resync", "--collection", "other"],
      "COLLECTION_NOT_REPLICATED",
    ],
    ["a filter that is not JSON", ["snapshot", "--collection", "things", "--filter", "{n:1}"], A_FILTER],
    ["a filter that needs another index", ["snapshot", "--collection", "things", "--filter", NEAR], A_FILTER],
    [
      "a filter with an unknown operator",
      ["snapshot", "--collection", "things", "--filter", '{"n":{"$gr":1}}'],
      /MongoDB refuses the filter: .*\$gr/,
    ],
    ["an id that is not JSON", ["snapshot", "--collection", "things", "--ids", "abc"], AN_ID],
    ["an id of another type than the collection's", ["snapshot", "--collection", "things", "--ids", '"1"'], AN_ID],
    [
      "both ids and a filter",
      ["snapshot", "--collection", "things", "--ids", "1", "--filter", "{}"],
      "--filter or --ids",
    ],
    ["a resync without a collection", ["resync"], "--collection NAME or --all"],
  ])("is refused: %s", async (_what, args, message) => {
    const { exitCode, stderr } = await pipeline.run(...args);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(2);
  });
});

test("an id of another type than the config declares is refused before the pipeline has ever run", async () => {
  const pipeline = await freshPipeline({ collections: { things: { idType: "integer" } } });
  const { exitCode, stderr } = await pipeline.run("snapshot", "--collection", "things", "--ids", '"1"');
  expect(stderr).toContain("SIGNAL_INVALID");
  expect(exitCode).toBe(2);
});
