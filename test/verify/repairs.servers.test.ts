import { ObjectId } from "mongodb";
import { expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

const REPAIRING = "reads the differing documents again";

interface Numbered {
  _id: number;
}

/** Changes while no pipeline runs: they are not in the table yet. */
async function insertLate({ db }: Pipeline): Promise<void> {
  await db.collection<Numbered>("cities").insertOne({ _id: 10_000 });
}

/** A table with an extra row, while no pipeline runs. */
async function spoiledCities(): Promise<Pipeline> {
  const pipeline = await freshPipeline();
  await pipeline.db.collection<Numbered>("cities").insertOne({ _id: 1 });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  await pipeline.pool.query("INSERT INTO cities (_id, _version) VALUES (-1, 1)");
  return pipeline;
}

test("repair corrects rows that somebody changed in the tables", async () => {
  const pipeline = await freshPipeline({ collections: { cities: { columns: { n: "bigint" } }, carts: {} } });
  const cities = Array.from({ length: 3_000 }, (_, number) => ({ _id: number, n: number, more: { number } }));
  await pipeline.db.collection<Numbered>("cities").insertMany(cities);
  await pipeline.db.collection("carts").insertMany(Array.from({ length: 10 }, () => ({ _id: new ObjectId() })));
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const { pool } = pipeline;
  await pool.query("UPDATE cities SET n = -n WHERE _id = 17");
  await pool.query("UPDATE cities SET _extra = NULL WHERE _id % 2 = 0");
  await pool.query("DELETE FROM cities WHERE _id IN (3, 2000)");
  await pool.query("INSERT INTO cities (_id, _version) VALUES (-1, 1), (-2, NULL)");
  await pool.query("INSERT INTO carts (_id, doc) VALUES ('no ObjectId', '{}')");
  // Without both processes verify would not catch up.
  await insertLate(pipeline);

  pipeline.start("produce");
  pipeline.start("consume");
  const { exitCode, stdout, stderr } = await pipeline.run("verify", "--repair", "--json", "--wait", "120");
  expect(stderr).toContain(REPAIRING);
  expect(JSON.parse(stdout), stderr).toMatchObject({ equal: true });
  expect(exitCode).toBe(0);
});

test("differences are not repaired if the pipeline did not catch up", async () => {
  const pipeline = await spoiledCities();
  await insertLate(pipeline);
  const { exitCode, stdout, stderr } = await pipeline.run("verify", "--repair", "--json", "--wait", "1");
  expect(JSON.parse(stdout)).toMatchObject({ equal: false, caughtUp: false });
  expect(stderr).not.toContain(REPAIRING);
  expect(exitCode).toBe(1);
});

test("without a consumer, repair stops waiting; the next consumer finishes it", async () => {
  const pipeline = await spoiledCities();
  await insertLate(pipeline);
  pipeline.start("produce");
  const consumer = pipeline.start("consume");
  expect((await pipeline.run("status", "--wait-for", "now")).exitCode).toBe(0);
  await consumer.stop();
  const { exitCode, stdout, stderr } = await pipeline.run("verify", "--repair", "--json", "--wait", "120");
  expect(stderr).toContain("The consumer has made no progress for 30 s");
  expect(JSON.parse(stdout)).toMatchObject({ equal: false, caughtUp: true });
  expect(exitCode).toBe(1);

  pipeline.start("consume");
  expect((await pipeline.run("verify", "--wait", "120")).exitCode).toBe(0);
});
