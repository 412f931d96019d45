import { ObjectId } from "mongodb";
import { expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";

test("what somebody has changed in the tables is read again, and right then", async () => {
  const pipeline = await freshPipeline({ collections: { cities: { columns: { n: "bigint" } }, carts: {} } });
  const cities = Array.from({ length: 3_000 }, (_, number) => ({ _id: number, n: number, more: { number } }));
  await pipeline.db.collection<{ _id: number }>("cities").insertMany(cities);
  await pipeline.db.collection("carts").insertMany(Array.from({ length: 10 }, () => ({ _id: new ObjectId() })));
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const { pool } = pipeline;
  await pool.query("UPDATE cities SET n = -n WHERE _id = 17");
  await pool.query("UPDATE cities SET _extra = NULL WHERE _id % 2 = 0");
  await pool.query("DELETE FROM cities WHERE _id IN (3, 2000)");
  await pool.query("INSERT INTO cities (_id, _version) VALUES (-1, 1), (-2, NULL)");
  await pool.query("INSERT INTO carts (_id, doc) VALUES ('no ObjectId', '{}')");

  const before = await pipeline.run("verify", "--repair", "--json", "--wait", "1");
  expect(before.exitCode, "what may only be late is not repaired").toBe(1);
  expect(before.stderr).not.toContain("Having read again");

  pipeline.start("produce");
  pipeline.start("consume");
  const { exitCode, stdout, stderr } = await pipeline.run("verify", "--repair", "--json", "--wait", "120");
  expect(stderr).toContain("Having read again");
  expect(JSON.parse(stdout), stderr).toMatchObject({ equal: true });
  expect(exitCode).toBe(0);
});
