import { Int32 } from "mongodb";
import { beforeEach, expect, test } from "vitest";
import { findings, freshComparison, nothing } from "./verify-fixture.ts";
import type { Comparison } from "./verify-fixture.ts";

let comparison: Comparison;

beforeEach(async () => {
  comparison = await freshComparison("integer", { n: "integer" });
  await comparison.insert(Array.from({ length: 100 }, (_, i) => ({ _id: new Int32(i) as never, n: new Int32(i) })));
  await comparison.sql("CREATE TABLE things (_id bigint PRIMARY KEY, n integer, _extra jsonb)");
  await comparison.sql("INSERT INTO things SELECT i, i FROM generate_series(0, 99) i");
});

test("what the pipeline still had to apply is not counted", async () => {
  await comparison.sql("UPDATE things SET n = -1 WHERE _id = 1");
  await comparison.sql("DELETE FROM things WHERE _id = 2");
  await comparison.sql("INSERT INTO things VALUES (1000, 1)");
  const result = await comparison.compare({
    async waitUntilCaughtUp() {
      await comparison.sql("UPDATE things SET n = 1 WHERE _id = 1");
      await comparison.sql("INSERT INTO things VALUES (2, 2)");
      await comparison.sql("DELETE FROM things WHERE _id = 1000");
      return true;
    },
  });
  expect(result).toMatchObject({ equal: true, caughtUp: true });
});

test("a key that is written all the time counts only if it differs in every round", async () => {
  let round = 0;
  await comparison.sql("UPDATE things SET n = -1 WHERE _id IN (1, 2, 3)");
  const result = await comparison.compareThings({
    async waitUntilCaughtUp() {
      round++;
      // Key 1 is behind until the fourth round, key 2 wrong for good, key 3 is equal at once.
      await comparison.source.db.collection<{ _id: number }>("things").updateOne({ _id: 1 }, { $set: { n: round } });
      await comparison.sql("UPDATE things SET n = $1 WHERE _id = 1", [round === 4 ? 4 : -1]);
      await comparison.sql("UPDATE things SET n = 3 WHERE _id = 3");
      return true;
    },
  });
  expect(round).toBe(5);
  expect(findings(result)).toEqual({ ...nothing, different: ["2"], differentColumns: { n: 1 } });
});

test("a finding may change its kind, and is then told as it is at last", async () => {
  await comparison.sql("UPDATE things SET n = -1 WHERE _id = 1");
  const result = await comparison.compareThings({
    async waitUntilCaughtUp() {
      await comparison.source.db.collection<{ _id: number }>("things").deleteOne({ _id: 1 });
      return true;
    },
  });
  expect(findings(result)).toEqual({ ...nothing, extra: ["1"] });
});

test("a pipeline that does not catch up is waited for once, and the result says so", async () => {
  await comparison.sql("DELETE FROM things");
  await comparison.insert(Array.from({ length: 25_000 }, (_, i) => ({ _id: new Int32(1000 + i) as never })));
  let waits = 0;
  const result = await comparison.compare({
    async waitUntilCaughtUp() {
      waits++;
      return false;
    },
  });
  expect(waits).toBe(1);
  expect(result).toMatchObject({ equal: false, caughtUp: false });
  expect(result.collections[0]).toMatchObject({ documents: 25_100, missingCount: 25_100, extraCount: 0 });
});

test("keys with an open dead letter are listed apart and do not make the result unequal", async () => {
  await comparison.sql("UPDATE things SET n = -1 WHERE _id = 1");
  await comparison.sql("DELETE FROM things WHERE _id = 2");
  await comparison.sql("INSERT INTO things VALUES (1000, 1)");
  const asked: string[] = [];
  const result = await comparison.compare({
    async openDeadLetters(collection, found) {
      asked.push(collection, ...found.keys());
      return new Set(["1", "2", "1000", "5"]);
    },
  });
  expect(asked.toSorted()).toEqual(["1", "1000", "2", "things"]);
  expect(result.equal).toBe(true);
  expect(result.collections[0]).toMatchObject({ ...nothing, deadLetteredCount: 3 });
  expect(result.collections[0]?.deadLettered.toSorted()).toEqual(["1", "1000", "2"]);
});
