// `"*"`: the collections that the config does not name, also those that are made later.
import { expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

interface Item {
  _id: number;
  [field: string]: unknown;
}

async function tablesOf({ pool, schema }: Pipeline): Promise<string[]> {
  const { rows } = await pool.query<{ tablename: string }>(
    "SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1",
    [schema],
  );
  return rows.map(({ tablename }) => tablename);
}

async function idsIn({ pool }: Pipeline, table: string): Promise<number[]> {
  const { rows } = await pool.query<{ _id: string }>(`SELECT _id FROM ${table} ORDER BY _id`);
  return rows.map(({ _id }) => Number(_id));
}

const COLLECTIONS = {
  orders: { table: "sales", idType: "integer", columns: { n: "bigint" } },
  "*": { exclude: ["tmp_*"], filter: { hidden: { $ne: true } }, idType: "integer" },
};

test("others are copied and followed with the settings of *, also new ones; what is excluded is told once", async () => {
  const pipeline = await freshPipeline({ collections: COLLECTIONS });
  const { db } = pipeline;
  const items = (name: string) => db.collection<Item>(name);
  await items("orders").insertMany([
    { _id: 1, n: 1 },
    { _id: 2, hidden: true },
  ]);
  await items("carts").insertMany([{ _id: 1 }, { _id: 2, hidden: true }]);
  await items("tmp_1").insertOne({ _id: 1 });
  await items("sales").insertOne({ _id: 9 });

  const check = await pipeline.run("check");
  expect(check.exitCode, check.stdout).toBe(0);
  expect(check.stdout).toContain('leaves out "tmp_1": the config excludes "tmp_*"\n');
  expect(check.stdout).toContain('leaves out "sales": its table would be that of the collection "orders"');

  const running = pipeline.start("run");
  await expect.poll(() => idsIn(pipeline, "carts").catch(() => []), { timeout: 60_000 }).toEqual([1]);
  await items("later").insertMany([{ _id: 1 }, { _id: 2, hidden: true }, { _id: 3 }]);
  await items("later").updateOne({ _id: 2 }, { $set: { hidden: false } });
  await items("later").updateOne({ _id: 3 }, { $set: { hidden: true } });
  await items("tmp_2").insertOne({ _id: 1 });
  await items("tmp_1").updateOne({ _id: 1 }, { $set: { n: 1 } });
  await expect.poll(() => idsIn(pipeline, "later").catch(() => []), { timeout: 60_000 }).toEqual([1, 2]);
  const waited = await pipeline.run("status", "--wait-for", "now");
  expect(waited.exitCode, waited.stderr).toBe(0);
  expect(await tablesOf(pipeline)).toEqual(["carts", "later", "sales"]);
  expect(await idsIn(pipeline, "sales")).toEqual([1, 2]);
  expect(waited.stdout).toContain('left out      tmp_1: the config excludes "tmp_*"\n');
  await running.stop();

  const again = await pipeline.run("run", "--once");
  expect(again.exitCode, again.stderr).toBe(0);
  expect(again.stderr.match(/collections are left out, as the config says/g)).toHaveLength(1);
  const verified = JSON.parse((await pipeline.run("verify", "--json")).stdout) as { collections: { table: string }[] };
  expect(verified).toMatchObject({ equal: true });
  expect(verified.collections.map(({ table }) => table).toSorted()).toEqual(
    ["carts", "later", "sales"].map((table) => `${pipeline.schema}.${table}`),
  );
});

test("a collection that leaves the patterns is not followed any more, and is copied again when it comes back", async () => {
  const pipeline = await freshPipeline({ collections: { "*": {} } });
  const carts = pipeline.db.collection<Item>("carts");
  await carts.insertMany([{ _id: 1 }, { _id: 2 }]);
  await pipeline.db.collection<Item>("orders").insertOne({ _id: 1 });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const without = await pipeline.reconfigured({ collections: { "*": { include: ["orders"] } } });
  await carts.insertOne({ _id: 3 });
  await carts.deleteOne({ _id: 1 });
  expect((await without.run("run", "--once")).exitCode).toBe(0);
  expect(await idsIn(pipeline, "carts")).toEqual([1, 2]);
  expect((await without.run("verify")).exitCode).toBe(0);
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  expect(await idsIn(pipeline, "carts")).toEqual([2, 3]);
  expect((await pipeline.run("verify")).exitCode).toBe(0);
});

test("onDrop: fail does not stop for collections that are excluded, and a rename out of them is copied", async () => {
  const pipeline = await freshPipeline({
    mongodb: { onDrop: "fail" },
    collections: { "*": { exclude: ["tmp_*"] } },
  });
  const { db } = pipeline;
  await db.collection<Item>("orders").insertOne({ _id: 1 });
  for (const name of ["tmp_1", "tmp_2", "tmp_3"]) await db.collection<Item>(name).insertOne({ _id: 1 });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  await db.collection("tmp_1").drop();
  await db.collection("tmp_2").rename("tmp_4");
  const once = await pipeline.run("run", "--once");
  expect(once.exitCode, once.stderr).toBe(0);
  await db.collection("tmp_3").rename("late");
  const applying = await pipeline.reconfigured({ mongodb: { onDrop: "apply" } });
  const renamed = await applying.run("run", "--once");
  expect(renamed.exitCode, renamed.stderr).toBe(0);
  expect(await idsIn(pipeline, "late")).toEqual([1]);
  expect(await tablesOf(pipeline)).toEqual(["late", "orders"]);
});

test("a filter of * that MongoDB refuses is refused by check, also while the database has no such collection", async () => {
  const pipeline = await freshPipeline({
    collections: { orders: {}, "*": { filter: { n: { $unknownOperator: 1 } } } },
  });
  await pipeline.db.collection<Item>("orders").insertOne({ _id: 1 });
  const { exitCode, stdout } = await pipeline.run("check");
  expect(exitCode).toBe(1);
  expect(stdout).toContain("unknown operator: $unknownOperator");
  await pipeline.db.collection<Item>("carts").insertOne({ _id: 1 });
  expect((await pipeline.run("check")).stdout).toContain('the filter of "carts": unknown operator: $unknownOperator.');
});
