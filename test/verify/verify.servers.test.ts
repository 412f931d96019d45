// `headrace verify` on real pipelines.
import { Int32, ObjectId } from "mongodb";
import { describe, expect, test } from "vitest";
import type { CollectionResult, VerifyResult } from "../../src/verify/result.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

interface Verified extends VerifyResult {
  readonly exitCode: number | null;
}

async function verify(pipeline: Pipeline, ...options: readonly string[]): Promise<Verified> {
  const { exitCode, stdout, stderr } = await pipeline.run("verify", "--json", ...options);
  expect(stdout, stderr).not.toBe("");
  return { exitCode, ...(JSON.parse(stdout) as VerifyResult) };
}

function ofCollection({ collections }: VerifyResult, name: string): CollectionResult {
  const found = collections.find(({ collection }) => collection === name);
  if (found === undefined) throw new Error(`${name} was not compared`);
  return found;
}

const typed = { columns: { n: "bigint", text: "text", w: { path: "dims.w", type: "double precision" } } };

async function insertCities(pipeline: Pipeline, count: number): Promise<void> {
  const cities = pipeline.db.collection<{ _id: number }>("cities");
  const all = Array.from({ length: count }, (_, i) => ({
    _id: i,
    n: i % 7 === 0 ? `no number ${i}` : i,
    text: `text ${i}`,
    dims: { w: i / 8, h: i },
  }));
  await cities.insertMany(all);
}

/** Writes all the time to few keys, so that documents are always ahead of their rows. Some are deleted and inserted. */
async function writeWithoutPause(pipeline: Pipeline, salt: number, signal: AbortSignal): Promise<void> {
  const cities = pipeline.db.collection<{ _id: number; n: number }>("cities");
  for (let i = 0; !signal.aborted; i++) {
    await cities.updateOne({ _id: i % 3 }, { $set: { n: i * salt } });
    await cities.deleteOne({ _id: 100 + (i % 4) });
    await cities.replaceOne({ _id: 100 + ((i + 2) % 4) }, { n: i * salt }, { upsert: true });
  }
}

describe("a running pipeline", () => {
  test("is equal right after its snapshot and while documents are written", async () => {
    const pipeline = await freshPipeline({ collections: { cities: typed, carts: {} } });
    await insertCities(pipeline, 20_000);
    await pipeline.db.collection("carts").insertMany(Array.from({ length: 500 }, (_, i) => ({ at: new Date(i), i })));
    pipeline.start("produce");
    pipeline.start("consume");
    const afterSnapshot = await verify(pipeline, "--wait", "120");
    expect(afterSnapshot).toMatchObject({ exitCode: 0, equal: true });
    expect(ofCollection(afterSnapshot, "cities")).toMatchObject({ documents: 20_000, missingCount: 0 });

    const writing = new AbortController();
    const written = Promise.all([1, 2, 3].map((salt) => writeWithoutPause(pipeline, salt, writing.signal)));
    for (let time = 1; time <= 3; time++) {
      expect(await verify(pipeline, "--wait", "120")).toMatchObject({ exitCode: 0, equal: true });
    }
    writing.abort();
    await written;
    expect(await verify(pipeline, "--wait", "120")).toMatchObject({ exitCode: 0, equal: true });
  });

  test("is unequal if rows were changed, and the result lists their keys", async () => {
    const pipeline = await freshPipeline({ collections: { cities: typed, carts: {} } });
    await insertCities(pipeline, 5_000);
    const [cart, other] = [new ObjectId(), new ObjectId()];
    await pipeline.db.collection("carts").insertMany([{ _id: cart, items: [{ sku: "a", n: 1 }] }, { _id: other }]);
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    expect(await verify(pipeline)).toMatchObject({ exitCode: 0, equal: true, caughtUp: null });

    const { pool } = pipeline;
    await pool.query("UPDATE cities SET text = 'other' WHERE _id = 17");
    await pool.query("UPDATE cities SET _extra = NULL WHERE _id = 4999");
    await pool.query("DELETE FROM cities WHERE _id IN (3, 2000)");
    await pool.query("INSERT INTO cities (_id, _version) VALUES (-1, 1)");
    await pool.query("UPDATE carts SET doc = jsonb_set(doc, '{items,0,n}', '2') WHERE _id = $1", [cart.toHexString()]);
    pipeline.start("produce");
    pipeline.start("consume");
    const result = await verify(pipeline, "--wait", "120");
    expect(result).toMatchObject({ exitCode: 1, equal: false, caughtUp: true });
    const cities = ofCollection(result, "cities");
    expect(cities).toMatchObject({ extra: ["-1"], differentColumns: { text: 1, _extra: 1 }, deadLetteredCount: 0 });
    expect([...cities.missing].sort()).toEqual(["2000", "3"]);
    expect([...cities.different].sort()).toEqual(["17", "4999"]);
    expect(ofCollection(result, "carts")).toMatchObject({
      table: `${pipeline.schema}.carts`,
      missingCount: 0,
      extraCount: 0,
      different: [cart.toHexString()],
      differentColumns: { doc: 1 },
    });

    const ofCarts = await verify(pipeline, "--collection", "carts", "--wait", "120");
    expect(ofCarts.collections.map(({ collection }) => collection)).toEqual(["carts"]);
    const { exitCode, stdout } = await pipeline.run("verify", "--wait", "120");
    expect(exitCode).toBe(1);
    expect(stdout).toContain(`Different in ${pipeline.schema}.cities (text 1, _extra 1):\n`);
    expect(stdout).toMatch(/Not equal\.\n$/);
  });

  test("is equal except for keys with an open dead letter, which are listed", async () => {
    const pipeline = await freshPipeline({ collections: { cities: { columns: { n: "bigint" } } } });
    const cities = pipeline.db.collection<{ _id: Int32 | string; n: number }>("cities");
    await cities.insertMany([1, 2, 3].map((i) => ({ _id: new Int32(i), n: i })));
    await pipeline.pool.query(
      "CREATE TABLE cities (_id bigint PRIMARY KEY, _version bigint, n bigint CHECK (n > 0), _extra jsonb)",
    );
    pipeline.start("produce");
    pipeline.start("consume");
    expect(await verify(pipeline, "--wait", "120")).toMatchObject({ equal: true });
    await cities.insertMany([
      { _id: new Int32(4), n: -4 },
      { _id: "five", n: 5 },
    ]);
    await cities.updateOne({ _id: new Int32(2) }, { $set: { n: -2 } });
    const result = await verify(pipeline, "--wait", "120");
    expect(result).toMatchObject({ exitCode: 0, equal: true, caughtUp: true });
    const [compared] = result.collections;
    expect(compared).toMatchObject({ missingCount: 0, differentCount: 0, deadLetteredCount: 3 });
    expect([...(compared?.deadLettered ?? [])].sort()).toEqual(['"five"', "2", "4"]);
  });
});

test("verify stops waiting for a pipeline that is not running, and the result shows it", async () => {
  const pipeline = await freshPipeline({ collections: { cities: typed } });
  await insertCities(pipeline, 300);
  const result = await verify(pipeline, "--wait", "0.1");
  expect(result).toMatchObject({ exitCode: 1, equal: false, caughtUp: false });
  expect(ofCollection(result, "cities")).toMatchObject({ documents: 300, rows: 0, missingCount: 300 });
});

test("if the config lists no collections, all are compared, also dropped ones", async () => {
  const pipeline = await freshPipeline();
  await pipeline.db.collection("kept").insertMany([{ a: 1 }, { a: 2 }]);
  await pipeline.db.collection("dropped").insertMany([{ a: 1 }]);
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  await pipeline.db.collection("dropped").drop();
  const result = await verify(pipeline, "--wait", "0.1");
  expect(result).toMatchObject({ exitCode: 1, caughtUp: false });
  expect(ofCollection(result, "kept")).toMatchObject({ documents: 2, rows: 2, extraCount: 0 });
  expect(ofCollection(result, "dropped")).toMatchObject({ documents: 0, rows: 1, extraCount: 1 });
});

test("wrong usage exits with code 2", async () => {
  const pipeline = await freshPipeline({ collections: { cities: typed } });
  const unknown = await pipeline.run("verify", "--collection", "towns");
  expect(unknown.exitCode).toBe(2);
  expect(unknown.stderr).toContain('COLLECTION_NOT_REPLICATED: The pipeline does not replicate a collection "towns".');
  const wait = await pipeline.run("verify", "--wait", "soon");
  expect(wait.exitCode).toBe(2);
  expect(wait.stderr).toContain("Give a number of seconds from 0 to 86400.");
});
