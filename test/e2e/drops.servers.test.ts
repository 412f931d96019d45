import type { Db } from "mongodb";
import { expect, test } from "vitest";
import { freshPipeline, type Pipeline } from "../support/pipeline.ts";

interface Item {
  _id: number;
  [field: string]: unknown;
}

const COUNT = 3_000;

function items(db: Db) {
  return db.collection<Item>("items");
}

function numbered(from: number, made: string): Item[] {
  return Array.from({ length: COUNT }, (_, n) => ({ _id: from + n, made }));
}

/** Replaces `items` by a new collection. Half of its documents have keys of the old one. */
async function replace(db: Db, made: string): Promise<void> {
  await db.collection<Item>("source").drop();
  await db.collection<Item>("source").insertMany(numbered(COUNT / 2, made));
  await db
    .collection("source")
    .aggregate([{ $out: "items" }])
    .toArray();
}

async function expectEqual(pipeline: Pipeline, documents: number): Promise<void> {
  const verified = await pipeline.run("verify", "--json", "--wait", "120");
  expect(JSON.parse(verified.stdout), verified.stderr).toMatchObject({ equal: true });
  // verify may have counted before it waited for the pipeline.
  const { rows } = await pipeline.pool.query("SELECT count(*)::int AS count FROM items");
  expect(rows).toEqual([{ count: documents }]);
}

test("a table follows its collection through $out, drop, re-creation, rename and dropDatabase", async () => {
  const pipeline = await freshPipeline({ collections: { items: {} } });
  const { db } = pipeline;
  await items(db).insertMany(numbered(0, "first"));
  await db.createCollection("source");
  const producer = pipeline.start("produce");
  pipeline.start("consume");
  await expectEqual(pipeline, COUNT);

  await replace(db, "by $out");
  await items(db).updateMany({ _id: { $lt: COUNT } }, { $set: { n: 1 } });
  await expectEqual(pipeline, COUNT);

  const steps: (() => Promise<unknown>)[] = [
    () => items(db).drop(),
    () => items(db).insertMany(numbered(10, "again")),
    () => items(db).rename("elsewhere"),
    () => db.createCollection("items"),
    () => replace(db, "by $out, the producer being down"),
  ];
  await producer.kill();
  for (const step of steps) await step();
  pipeline.start("produce");
  await expectEqual(pipeline, COUNT);

  await db.dropDatabase();
  await items(db).insertOne({ _id: 1, made: "after all" });
  await expectEqual(pipeline, 1);
});
