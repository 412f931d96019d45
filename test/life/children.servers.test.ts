// The tables of arrays in a pipeline's life: made, swept, dropped by hand, taken out of the config, removed.
import { expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { expectEqual, runOnce, runUntilEqual } from "./things.ts";

const ORDERS = {
  idType: "integer",
  columns: { status: "text" },
  children: {
    items: {
      columns: { sku: "text", qty: "integer" },
      foreignKey: true,
      children: { taxes: { columns: { rate: "numeric" } } },
    },
    tags: { value: "text" },
  },
};
const { tags: _, ...ITEMS_ONLY } = ORDERS.children;

interface Order {
  _id: number;
  status: string;
  items: { sku: string; qty: number; taxes?: { rate: number }[] }[];
  tags: string[];
}

function orderOf(id: number, items = 2): Order {
  return {
    _id: id,
    status: "open",
    items: Array.from({ length: items }, (_each, index) => ({ sku: `s${index}`, qty: index, taxes: [{ rate: 0.5 }] })),
    tags: ["a", "b"],
  };
}

async function pipelineOfOrders(): Promise<Pipeline> {
  const pipeline = await freshPipeline({ collections: { orders: ORDERS } });
  await pipeline.db.collection<Order>("orders").insertMany([1, 2, 3].map((id) => orderOf(id)));
  await runUntilEqual(pipeline);
  return pipeline;
}

/** How many rows each table has. */
async function counts({ pool, schema }: Pipeline): Promise<Readonly<Record<string, number>>> {
  const tables = ["orders", "orders_items", "orders_items_taxes", "orders_tags"];
  const found = await Promise.all(
    tables.map(async (table) => {
      const { rows } = await pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM "${schema}"."${table}"`);
      return [table, rows[0]?.n ?? -1] as const;
    }),
  );
  return Object.fromEntries(found);
}

const FULL = { orders: 3, orders_items: 6, orders_items_taxes: 6, orders_tags: 6 };

test("each element of an array has a row, which follows the document", async () => {
  const pipeline = await pipelineOfOrders();
  expect(await counts(pipeline)).toEqual(FULL);
  const orders = pipeline.db.collection<Order>("orders");
  await orders.updateOne({ _id: 1 }, { $push: { items: { $each: [{ sku: "new", qty: 9 }], $position: 0 } } });
  await orders.deleteOne({ _id: 2 });
  await runUntilEqual(pipeline);
  expect(await counts(pipeline)).toEqual({ orders: 2, orders_items: 5, orders_items_taxes: 4, orders_tags: 4 });
  const { rows } = await pipeline.pool.query(
    `SELECT _position, sku FROM "${pipeline.schema}".orders_items WHERE _parent = 1 ORDER BY _position`,
  );
  expect(rows).toEqual([
    { _position: 0, sku: "new" },
    { _position: 1, sku: "s0" },
    { _position: 2, sku: "s1" },
  ]);
});

test.each([
  ["dropped", (relation: string) => `DROP TABLE ${relation}`],
  ["truncated", (relation: string) => `TRUNCATE ${relation}`],
])("a child's table that was %s is filled again by a copy of the collection", async (_what, sql) => {
  const pipeline = await pipelineOfOrders();
  await pipeline.pool.query(sql(`"${pipeline.schema}".orders_tags`));
  const { stderr } = await runOnce(pipeline);
  expect(stderr).toContain("the table of a child was dropped, replaced or emptied");
  await runUntilEqual(pipeline);
  expect(await counts(pipeline)).toEqual(FULL);
});

test("a child's table that VACUUM FULL has rewritten is known again, without a copy", async () => {
  const pipeline = await pipelineOfOrders();
  await pipeline.pool.query(`VACUUM FULL "${pipeline.schema}".orders_tags`);
  const { stderr } = await runOnce(pipeline);
  expect(stderr).not.toContain("copied into the table again");
  await runOnce(pipeline);
});

test("a sweep deletes the elements of documents that are gone without an event", async () => {
  const pipeline = await pipelineOfOrders();
  const { pool, schema } = pipeline;
  await pool.query(`INSERT INTO "${schema}".orders_tags (_parent, _position, value) VALUES (99, 0, 'nobody''s')`);
  const process = pipeline.start("run");
  expect(await pipeline.run("resync", "--collection", "orders", "--wait")).toMatchObject({ exitCode: 0 });
  await process.stop();
  await expectEqual(pipeline);
  expect(await counts(pipeline)).toEqual(FULL);
});

test("a child that the config gets and loses is filled and emptied by the copy that follows", async () => {
  const pipeline = await pipelineOfOrders();
  const without = await pipeline.reconfigured({ collections: { orders: { ...ORDERS, children: ITEMS_ONLY } } });
  await runOnce(without);
  await runOnce(without);
  expect(await counts(pipeline)).toEqual({ ...FULL, orders_tags: 0 });
  const { rows } = await pipeline.pool.query(`SELECT _extra FROM "${pipeline.schema}".orders WHERE _id = 1`);
  expect(rows).toEqual([{ _extra: { tags: ["a", "b"] } }]);
  await runOnce(pipeline);
  await runUntilEqual(pipeline);
  expect(await counts(pipeline)).toEqual(FULL);
});

test("remove --tables drops the tables of children with their documents' table", async () => {
  const pipeline = await pipelineOfOrders();
  expect(await pipeline.run("remove", "--pipeline", "--tables", "--yes")).toMatchObject({ exitCode: 0 });
  const { rows } = await pipeline.pool.query("SELECT tablename FROM pg_tables WHERE schemaname = $1", [
    pipeline.schema,
  ]);
  expect(rows).toEqual([]);
  const left = await pipeline.pool.query("SELECT FROM headrace.columns WHERE relation LIKE $1", [
    `%${pipeline.schema}%`,
  ]);
  expect(left.rowCount).toBe(0);
});
