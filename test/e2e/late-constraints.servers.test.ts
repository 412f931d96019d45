// Constraints of a user's own tables that hold only when another document has arrived, too. Nobody replays anything.
import { expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

/** Longer than a consumer retries a violated constraint before it writes a dead letter. */
const timeout = 60_000;

async function letters(pipeline: Pipeline): Promise<readonly object[]> {
  const { stdout, stderr, exitCode } = await pipeline.run("dlq", "list", "--json");
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout) as object[];
}

async function rowsOf({ pool }: Pipeline, query: string): Promise<readonly unknown[]> {
  return (await pool.query({ text: query, rowMode: "array" })).rows;
}

test("a row whose foreign key points at a later row is applied once that is there", { timeout: 200_000 }, async () => {
  const pipeline = await freshPipeline({
    collections: { makers: {}, products: { columns: { maker: "text" } } },
  });
  await pipeline.pool.query(`
    CREATE TABLE makers (_id text PRIMARY KEY, _version bigint, document jsonb);
    CREATE TABLE products (_id text PRIMARY KEY, _version bigint, maker text REFERENCES makers, _extra jsonb)`);
  const makers = pipeline.db.collection<{ _id: string }>("makers");
  const products = pipeline.db.collection<{ _id: string; maker: string }>("products");
  await makers.insertOne({ _id: "known" });
  await products.insertMany([
    { _id: "early", maker: "late" },
    { _id: "other", maker: "known" },
  ]);
  pipeline.start("run");
  await expect.poll(() => letters(pipeline), { timeout }).toMatchObject([{ sqlstate: "23503" }]);
  await makers.insertOne({ _id: "late" });
  await expect
    .poll(() => rowsOf(pipeline, "SELECT _id, maker FROM products ORDER BY _id"), { timeout })
    .toEqual([
      ["early", "late"],
      ["other", "known"],
    ]);
  await expect.poll(() => letters(pipeline), { timeout }).toEqual([]);
});

test("dead letters of an earlier run are applied, too", { timeout: 200_000 }, async () => {
  const pipeline = await freshPipeline({
    collections: { makers: {}, products: { columns: { maker: "text" } } },
  });
  await pipeline.pool.query(`
    CREATE TABLE makers (_id text PRIMARY KEY, _version bigint, document jsonb);
    CREATE TABLE products (_id text PRIMARY KEY, _version bigint, maker text REFERENCES makers, _extra jsonb)`);
  await pipeline.db.createCollection("makers");
  await pipeline.db.collection<{ _id: string; maker: string }>("products").insertOne({ _id: "early", maker: "late" });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  expect(await letters(pipeline)).toHaveLength(1);
  await pipeline.db.collection<{ _id: string }>("makers").insertOne({ _id: "late" });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  expect(await rowsOf(pipeline, "SELECT _id FROM products")).toEqual([["early"]]);
  expect(await letters(pipeline)).toEqual([]);
});

test(
  "documents that swap a unique value are applied, in one partition and in several",
  { timeout: 200_000 },
  async () => {
    const pipeline = await freshPipeline({ collections: { seats: { columns: { place: "integer" } } } });
    await pipeline.pool.query(
      "CREATE TABLE seats (_id text PRIMARY KEY, _version bigint, place integer UNIQUE, _extra jsonb, note text)",
    );
    const seats = pipeline.db.collection<{ _id: string; place: number }>("seats");
    const ids = Array.from({ length: 12 }, (_, index) => `s${index}`);
    const places = () => rowsOf(pipeline, "SELECT _id, place FROM seats ORDER BY place");
    await seats.insertMany(ids.map((_id, place) => ({ _id, place })));
    pipeline.start("run");
    await expect.poll(places, { timeout }).toHaveLength(12);
    await pipeline.pool.query("UPDATE seats SET note = 'mine'");
    const turned = ids.map((_id, place) => ({ _id, place: (place + 5) % ids.length }));
    await pipeline.client.withSession((session) =>
      session.withTransaction(async () => {
        for (const { _id, place } of turned) await seats.updateOne({ _id }, { $set: { place } }, { session });
      }),
    );
    const expected = turned.toSorted((a, b) => a.place - b.place).map(({ _id, place }) => [_id, place]);
    await expect.poll(places, { timeout }).toEqual(expected);
    await expect.poll(() => letters(pipeline), { timeout }).toEqual([]);
    expect(await rowsOf(pipeline, "SELECT DISTINCT note FROM seats")).toEqual([["mine"]]);
  },
);
