import { ObjectId } from "mongodb";
import { expect, test } from "vitest";
import type { VerifyResult } from "../../src/verify/result.ts";
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

const ORDERS = {
  columns: { status: "text" },
  children: {
    items: {
      path: "cart.items",
      columns: { sku: "character(3)", isGift: "boolean", price: "numeric(10,2)", at: "timestamptz", sizes: "text[]" },
      children: { taxes: { columns: { rate: "double precision", more: "jsonb" } } },
    },
    tags: { value: "text" },
  },
};

function orderOf(_id: number) {
  const taxes = [{ rate: 0.19, more: { a: [_id, null] } }, { rate: -0 }, "odd"];
  const item = { sku: "abc", isGift: true, price: 9.99, at: new Date(_id), sizes: ["S", null, "x,y"], taxes };
  return { _id, status: "open", cart: { items: [item, { isGift: "no" }, null] }, tags: ["a", 1, null] };
}

test("repair corrects the tables of arrays, and deletes elements whose document is gone", async () => {
  const carts = { columns: { n: "integer" }, children: { lines: { value: "integer" } } };
  const pipeline = await freshPipeline({ collections: { orders: ORDERS, carts } });
  const { db, pool } = pipeline;
  await db.collection<Numbered>("orders").insertMany(Array.from({ length: 2_000 }, (_, number) => orderOf(number)));
  await db.collection("carts").insertOne({ _id: new ObjectId(), lines: [1, 2] });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  expect(await pipeline.run("verify", "--json")).toMatchObject({ exitCode: 0 });

  await pool.query(`UPDATE orders_items SET "isGift" = NOT "isGift" WHERE _parent = 1 AND _position = 0`);
  await pool.query("UPDATE orders_items SET sizes = '{S}', _extra = '{}' WHERE _parent = 2 AND _position = 0");
  await pool.query("DELETE FROM orders_items WHERE _parent = 3 AND _position = 1");
  await pool.query("UPDATE orders_items_taxes SET rate = 0 WHERE _parent = 4 AND _position_2 = 1");
  await pool.query("INSERT INTO orders_items_taxes VALUES (5, 0, 3), (5, -1, 0)");
  await pool.query("TRUNCATE orders_tags");
  await pool.query("DELETE FROM orders WHERE _id = 6");
  await pool.query("INSERT INTO orders_tags VALUES (-1, 0, 'nobody''s')");
  await pool.query("INSERT INTO carts_lines VALUES ('no ObjectId', 0)");
  const { exitCode: unequal, stdout: found } = await pipeline.run("verify", "--json");
  expect(unequal).toBe(1);
  const [orders, others] = (JSON.parse(found) as VerifyResult).collections;
  expect(orders).toMatchObject({ missing: ["6"], extra: [], orphaned: ["-1", "6"], orphanedCount: 2 });
  expect(orders).toMatchObject({ differentCount: 1_999, documents: 2_000, rows: 1_999 });
  expect(orders?.differentColumns).toEqual({
    "items.isGift": 1,
    "items.sizes": 1,
    "items._extra": 1,
    items: 1,
    "items.taxes.rate": 1,
    "items.taxes": 1,
    tags: 1_999,
  });
  expect(others).toMatchObject({ missing: [], different: [], orphaned: ["no ObjectId"] });

  pipeline.start("produce");
  pipeline.start("consume");
  const { exitCode, stdout, stderr } = await pipeline.run("verify", "--repair", "--json", "--wait", "120");
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
