import { expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";

interface Thing {
  _id: number;
}

test("a table that was dropped by hand is filled again after the printed remedy, and has no watermark before", async () => {
  const pipeline = await freshPipeline({ collections: { things: { idType: "integer" } } });
  const { db, pool, schema } = pipeline;
  const things = db.collection<Thing>("things");
  const watermark = async () =>
    (await pool.query("SELECT FROM headrace.watermark WHERE relation = $1", [`"${schema}"."things"`])).rowCount;
  await things.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }]);
  await things.deleteOne({ _id: 3 });
  expect(await pipeline.run("run", "--once")).toMatchObject({ exitCode: 0 });
  expect(await watermark()).toBe(1);

  await pool.query("DROP TABLE things");
  await things.insertOne({ _id: 4 });
  const failed = await pipeline.run("run", "--once");
  expect(failed.exitCode).toBe(1);
  const line = failed.stderr.split("\n").find((each) => each.includes("TABLE_DROPPED")) ?? "";
  const { err } = JSON.parse(line) as { err: { remedy: string } };
  await pool.query(/BEGIN;.*COMMIT;/.exec(err.remedy)?.[0] ?? "");
  expect(await watermark()).toBe(0);

  expect(await pipeline.run("run", "--once")).toMatchObject({ exitCode: 0 });
  expect((await pool.query("SELECT _id::int FROM things ORDER BY 1")).rows).toEqual([1, 2, 4].map((_id) => ({ _id })));
  expect(await watermark()).toBe(1);
});
