// A collection with a filter: its table has the documents that match, at any time and whatever happens to them.
import { describe, expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

interface Order {
  _id: number;
  status?: string;
  n?: number;
}

const SHIPPED = { status: "shipped" };
const EVEN = { n: { $mod: [2, 0] as [number, number] } };
const COLUMNS = { status: "text", n: "bigint" };

function orders({ db }: Pipeline) {
  return db.collection<Order>("orders");
}

async function rowsOf({ pool }: Pipeline, table = "orders"): Promise<number[]> {
  const { rows } = await pool.query<{ _id: string }>(`SELECT _id FROM ${table} ORDER BY _id`);
  return rows.map(({ _id }) => Number(_id));
}

async function runOnce(pipeline: Pick<Pipeline, "run">): Promise<void> {
  const { exitCode, stderr } = await pipeline.run("run", "--once");
  expect(exitCode, stderr).toBe(0);
}

async function expectEqual(pipeline: Pick<Pipeline, "run">): Promise<void> {
  const { stdout } = await pipeline.run("verify", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ equal: true });
}

/** Waits until the tables have everything. */
async function caughtUp(pipeline: Pick<Pipeline, "run">): Promise<void> {
  const { exitCode, stderr } = await pipeline.run("status", "--wait-for", "now");
  expect(exitCode, stderr).toBe(0);
}

describe.each([
  ["columns mode", { filter: SHIPPED, idType: "integer", columns: COLUMNS }],
  ["document mode", { filter: SHIPPED, idType: "integer" }],
])("in %s", (_, collection) => {
  test("documents come when they start to match and go when they stop, in the snapshot, the stream and after a restart", async () => {
    const pipeline = await freshPipeline({ collections: { orders: collection } });
    await orders(pipeline).insertMany([
      { _id: 1, ...SHIPPED },
      { _id: 2, status: "draft" },
      { _id: 3 },
      { _id: 4, ...SHIPPED },
    ]);
    const running = pipeline.start("run");
    await expect.poll(() => rowsOf(pipeline).catch(() => []), { timeout: 60_000 }).toEqual([1, 4]);

    await orders(pipeline).insertMany([
      { _id: 5, status: "draft" },
      { _id: 6, ...SHIPPED },
    ]);
    await orders(pipeline).updateOne({ _id: 2 }, { $set: SHIPPED });
    await orders(pipeline).updateOne({ _id: 1 }, { $set: { status: "returned" } });
    await orders(pipeline).replaceOne({ _id: 4 }, { status: "draft" });
    await orders(pipeline).replaceOne({ _id: 3 }, { ...SHIPPED, n: 1 });
    await caughtUp(pipeline);
    expect(await rowsOf(pipeline)).toEqual([2, 3, 6]);

    await running.stop();
    await orders(pipeline).updateOne({ _id: 2 }, { $set: { status: "draft" } });
    await orders(pipeline).updateOne({ _id: 5 }, { $set: SHIPPED });
    await orders(pipeline).insertOne({ _id: 7, status: "draft" });
    await orders(pipeline).deleteOne({ _id: 6 });
    await runOnce(pipeline);
    expect(await rowsOf(pipeline)).toEqual([3, 5]);
    await expectEqual(pipeline);
  });
});

test("the rows of children come and go with their documents", async () => {
  const children = { items: { columns: { sku: "text" } } };
  const pipeline = await freshPipeline({ collections: { orders: { filter: SHIPPED, columns: COLUMNS, children } } });
  const withItems = pipeline.db.collection<Order & { items: { sku: string }[] }>("orders");
  const items = [{ sku: "a" }, { sku: "b" }];
  await withItems.insertMany([
    { _id: 1, ...SHIPPED, items },
    { _id: 2, status: "draft", items },
  ]);
  const parents = async () =>
    (await pipeline.pool.query<{ parent: string }>("SELECT _parent AS parent FROM orders_items ORDER BY 1")).rows.map(
      ({ parent }) => Number(parent),
    );
  await runOnce(pipeline);
  expect(await parents()).toEqual([1, 1]);
  await withItems.updateOne({ _id: 1 }, { $set: { status: "draft" } });
  await withItems.updateOne({ _id: 2 }, { $set: SHIPPED });
  await runOnce(pipeline);
  expect(await parents()).toEqual([2, 2]);
});

test("a transaction's changes of matching and not matching documents are applied as of its end", async () => {
  const pipeline = await freshPipeline({ collections: { orders: { filter: SHIPPED } } });
  await orders(pipeline).insertMany([{ _id: 1, ...SHIPPED }, { _id: 2 }]);
  await runOnce(pipeline);
  await pipeline.client.withSession((session) =>
    session.withTransaction(async () => {
      await orders(pipeline).updateOne({ _id: 1 }, { $unset: { status: 1 } }, { session });
      await orders(pipeline).updateOne({ _id: 2 }, { $set: SHIPPED }, { session });
      await orders(pipeline).insertOne({ _id: 3, ...SHIPPED }, { session });
      await orders(pipeline).updateOne({ _id: 3 }, { $set: { status: "draft" } }, { session });
    }),
  );
  await runOnce(pipeline);
  expect(await rowsOf(pipeline)).toEqual([2]);
});

test.each([
  ["narrower", { n: { $lt: 3 } }, [1, 2]],
  ["wider", { n: { $lt: 9 } }, [1, 2, 3, 4, 5, 6]],
  ["another one", { n: { $gte: 3 } }, [3, 4, 5, 6]],
  ["gone", undefined, [1, 2, 3, 4, 5, 6]],
])("a filter that is %s copies the collection anew, and rows that do not match go", async (_, filter, expected) => {
  const pipeline = await freshPipeline({ collections: { orders: { idType: "integer", filter: { n: { $lt: 5 } } } } });
  await orders(pipeline).insertMany([1, 2, 3, 4, 5].map((_id) => ({ _id, n: _id })));
  await runOnce(pipeline);
  await orders(pipeline).insertOne({ _id: 6, n: 6 });
  // The last change before the new filter: the row is as new as the position.
  await orders(pipeline).updateOne({ _id: 4 }, { $set: { status: "late" } });
  await runOnce(pipeline);
  expect(await rowsOf(pipeline)).toEqual([1, 2, 3, 4]);
  const changed = await pipeline.reconfigured({ collections: { orders: { idType: "integer", filter } } });
  await runOnce(changed);
  expect(await rowsOf(pipeline)).toEqual(expected);
  await expectEqual(changed);
});

test("ad-hoc snapshots and resync read with the filter", async () => {
  const pipeline = await freshPipeline({ collections: { orders: { idType: "integer", filter: SHIPPED } } });
  await orders(pipeline).insertMany([
    { _id: 1, ...SHIPPED, n: 1 },
    { _id: 2, status: "draft", n: 1 },
    { _id: 3, ...SHIPPED, n: 2 },
  ]);
  await runOnce(pipeline);
  const { pool } = pipeline;
  const spoil = () => pool.query("INSERT INTO orders (_id, _version) VALUES (2, 1) ON CONFLICT DO NOTHING");
  pipeline.start("run");

  await spoil();
  await pool.query("DELETE FROM orders WHERE _id = 1");
  expect((await pipeline.run("snapshot", "--collection", "orders", "--wait", "--ids", "1", "2", "9")).exitCode).toBe(0);
  await caughtUp(pipeline);
  expect(await rowsOf(pipeline)).toEqual([1, 3]);

  await pool.query("DELETE FROM orders");
  expect((await pipeline.run("snapshot", "--collection", "orders", "--wait", "--filter", '{"n":1}')).exitCode).toBe(0);
  await caughtUp(pipeline);
  expect(await rowsOf(pipeline)).toEqual([1]);

  expect((await pipeline.run("resync", "--collection", "orders", "--wait")).exitCode).toBe(0);
  await caughtUp(pipeline);
  expect(await rowsOf(pipeline)).toEqual([1, 3]);
});

test("a dead letter whose document no longer matches is closed by its replay, with a delete", async () => {
  const pipeline = await freshPipeline({ collections: { orders: { idType: "integer", filter: SHIPPED } } });
  const texts = pipeline.db.collection<{ _id: number | string; status: string }>("orders");
  await texts.insertMany([
    { _id: 1, ...SHIPPED },
    { _id: "two", ...SHIPPED },
    { _id: "three", status: "draft" },
  ]);
  await runOnce(pipeline);
  const list = async () => JSON.parse((await pipeline.run("dlq", "list", "--json")).stdout) as { key: string }[];
  expect((await list()).map(({ key }) => key)).toEqual(['"two"']);
  pipeline.start("run");
  await texts.updateOne({ _id: "two" }, { $set: { status: "draft" } });
  const { stdout, stderr } = await pipeline.run("dlq", "replay", "--json");
  expect(JSON.parse(stdout), stderr).toMatchObject({ failed: 0 });
  expect(await rowsOf(pipeline)).toEqual([1]);
});

test("a record in the dead letters is not applied once its document has stopped matching", async () => {
  const pipeline = await freshPipeline({ collections: { orders: { idType: "integer", filter: SHIPPED } } });
  await pipeline.pool.query(
    "CREATE TABLE orders (_id bigint PRIMARY KEY, doc jsonb CHECK (doc->>'n' IS DISTINCT FROM '13'))",
  );
  await orders(pipeline).insertMany([
    { _id: 1, ...SHIPPED },
    { _id: 2, ...SHIPPED, n: 13 },
  ]);
  await runOnce(pipeline);
  expect(JSON.parse((await pipeline.run("dlq", "list", "--json")).stdout)).toHaveLength(1);
  await orders(pipeline).updateOne({ _id: 2 }, { $set: { status: "draft" } });
  await runOnce(pipeline);
  await pipeline.pool.query("ALTER TABLE orders DROP CONSTRAINT orders_doc_check");
  await pipeline.run("dlq", "replay", "--json");
  expect(await rowsOf(pipeline)).toEqual([1]);
});

test("what MongoDB refuses is refused in its words, by check and by the start, before anything is done", async () => {
  const pipeline = await freshPipeline({
    collections: { orders: { filter: { n: { $unknownOperator: 1 } } }, other: {} },
  });
  await orders(pipeline).insertOne({ _id: 1 });
  const check = await pipeline.run("check");
  expect(check.exitCode).toBe(1);
  expect(check.stdout).toContain("✗ takes the filters of the config");
  expect(check.stdout).toContain(
    'FILTER_REFUSED: MongoDB refuses the filter of "orders": unknown operator: $unknownOperator.',
  );
  for (const command of ["produce", "run"]) {
    const { exitCode, stderr } = await pipeline.run(command);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("FILTER_REFUSED");
    expect(stderr).toContain("$unknownOperator");
  }
  const { rows } = await pipeline.pool.query("SELECT FROM pg_tables WHERE schemaname = $1", [pipeline.schema]);
  expect(rows).toEqual([]);
});

test("a filter that fails on a document stops the producer without the document's value", async () => {
  const filter = { $expr: { $gt: [{ $toInt: "$n" }, 5] } };
  const pipeline = await freshPipeline({ collections: { orders: { filter } } });
  await pipeline.db.collection<{ _id: number; n: string }>("orders").insertMany([
    { _id: 1, n: "7" },
    { _id: 2, n: "secret value" },
  ]);
  const { exitCode, stderr } = await pipeline.run("run", "--once");
  expect(exitCode).toBe(1);
  expect(stderr).toContain("FILTER_REFUSED");
  expect(stderr).toContain('the filter of \\"orders\\" to one of its documents: ConversionFailure');
  expect(stderr).not.toContain("secret value");
});

test("verify calls rows of documents that do not match extra, and repairs them", async () => {
  const pipeline = await freshPipeline({ collections: { orders: { idType: "integer", filter: SHIPPED } } });
  await orders(pipeline).insertMany([
    { _id: 1, ...SHIPPED },
    { _id: 2, status: "draft" },
    { _id: 3, ...SHIPPED },
  ]);
  await runOnce(pipeline);
  const verify = async (...args: string[]) =>
    JSON.parse((await pipeline.run("verify", "--json", ...args)).stdout) as { collections: object[] };
  expect((await verify()).collections).toMatchObject([{ documents: 2, rows: 2, missing: [], extra: [] }]);
  await pipeline.pool.query("INSERT INTO orders (_id, _version) VALUES (2, 1)");
  await pipeline.pool.query("DELETE FROM orders WHERE _id = 3");
  expect((await verify("--wait", "1")).collections).toMatchObject([{ missing: ["3"], extra: ["2"] }]);
  pipeline.start("run");
  expect((await verify("--repair")).collections).toMatchObject([{ missing: [], extra: [] }]);
  expect(await rowsOf(pipeline)).toEqual([1, 3]);
});

test("while documents are written at random, each published version is the matching document or none", async () => {
  const pipeline = await freshPipeline({
    collections: { orders: { idType: "integer", filter: EVEN } },
  });
  pipeline.start("run");
  for (let i = 0; i < 400; i++) {
    const _id = (i * 7) % 23;
    if (i % 5 === 0) await orders(pipeline).deleteOne({ _id });
    else if (i % 3 === 0) await orders(pipeline).replaceOne({ _id }, { n: i }, { upsert: true });
    else await orders(pipeline).updateOne({ _id }, { $inc: { n: 1 } }, { upsert: true });
  }
  await caughtUp(pipeline);
  const matching = await orders(pipeline).find(EVEN).sort({ _id: 1 }).toArray();
  expect(await rowsOf(pipeline)).toEqual(matching.map(({ _id }) => _id));
  await expectEqual(pipeline);
});
