import { Int32 } from "mongodb";
import { beforeEach, expect, test } from "vitest";
import { clusterTimes } from "../../src/producers/mongodb/client.ts";
import { findings, freshComparison, nothing } from "./fixture.ts";
import type { Comparison } from "./fixture.ts";

let comparison: Comparison;

beforeEach(async () => {
  comparison = await freshComparison("integer", { n: "integer" });
  await comparison.insert(Array.from({ length: 100 }, (_, i) => ({ _id: new Int32(i) as never, n: new Int32(i) })));
  await comparison.sql("CREATE TABLE things (_id bigint PRIMARY KEY, n integer, _extra jsonb)");
  await comparison.sql("INSERT INTO things SELECT i, i FROM generate_series(0, 99) i");
});

/** A cluster time after everything that was written before. */
async function now(): Promise<bigint> {
  return (await clusterTimes(comparison.source.db)).majority;
}

async function update(id: number, n: number): Promise<void> {
  await comparison.source.db.collection<{ _id: number }>("things").updateOne({ _id: id }, { $set: { n } });
}

test("rows that the pipeline applies during the comparison do not count as different", async () => {
  await comparison.sql("UPDATE things SET n = -1 WHERE _id = 1");
  await comparison.sql("DELETE FROM things WHERE _id = 2");
  await comparison.sql("INSERT INTO things VALUES (1000, 1)");
  const result = await comparison.compare({
    async waitUntilCaughtUp() {
      await comparison.sql("UPDATE things SET n = 1 WHERE _id = 1");
      await comparison.sql("INSERT INTO things VALUES (2, 2)");
      await comparison.sql("DELETE FROM things WHERE _id = 1000");
      return now();
    },
  });
  expect(result).toMatchObject({ equal: true, caughtUp: true });
});

test("a table that the pipeline creates during the wait is compared", async () => {
  await comparison.sql("DROP TABLE things");
  const result = await comparison.compare({
    async waitUntilCaughtUp() {
      await comparison.sql("CREATE TABLE things (_id bigint PRIMARY KEY, n integer, _extra jsonb)");
      await comparison.sql("INSERT INTO things SELECT i, i FROM generate_series(0, 99) i");
      return now();
    },
  });
  expect(result).toMatchObject({ equal: true, caughtUp: true });
});

test("a key counts only if it differs in every round", async () => {
  let round = 0;
  await comparison.sql("UPDATE things SET n = -1 WHERE _id IN (1, 2, 3)");
  const result = await comparison.compareThings({
    async waitUntilCaughtUp() {
      round++;
      // Key 1 differs until the third round, key 2 in every round, and key 3 never.
      await update(1, round);
      await comparison.sql("UPDATE things SET n = $1 WHERE _id = 1", [round === 3 ? 3 : -1]);
      await comparison.sql("UPDATE things SET n = 3 WHERE _id = 3");
      return now();
    },
  });
  expect(round).toBe(3);
  expect(findings(result)).toEqual({ ...nothing, different: ["2"], differentColumns: { n: 1 } });
});

test("documents are compared as of the time up to which the pipeline has caught up", async () => {
  await comparison.sql("UPDATE things SET n = -1 WHERE _id = 2");
  const time = await now();
  for (const id of [1, 2]) await update(id, -1);
  const result = await comparison.compareThings({ waitUntilCaughtUp: async () => time });
  // Key 2's row matches the current document, so it is equal at once. Key 1's row matches its document as of `time`.
  expect(findings(result)).toEqual(nothing);

  await comparison.sql("UPDATE things SET n = -2 WHERE _id IN (1, 2)");
  await comparison.sql("DELETE FROM things WHERE _id = 3");
  await comparison.source.db.collection<{ _id: number }>("things").deleteOne({ _id: 4 });
  const later = await comparison.compareThings({ waitUntilCaughtUp: async () => time });
  expect(findings(later)).toEqual({ ...nothing, missing: ["3"], different: ["1", "2"], differentColumns: { n: 2 } });
});

test("a newer row is compared with its document as of the row's version", async () => {
  await comparison.sql("ALTER TABLE things ADD COLUMN _version bigint");
  await comparison.sql("DELETE FROM things WHERE _id = 4");
  const time = await now();
  for (const id of [1, 2, 3, 4]) await update(id, 100);
  const version = await now();
  for (const id of [1, 2, 3, 4]) await update(id, 101);
  const write = "UPDATE things SET n = $1, _version = $2 WHERE _id = $3";
  await comparison.sql(write, [100, version, 1]);
  await comparison.sql(write, [99, version, 2]);
  await comparison.sql(write, [3, version, 3]);
  const result = await comparison.compareThings({ waitUntilCaughtUp: async () => time });
  expect(findings(result)).toEqual({ ...nothing, missing: ["4"], different: ["2", "3"], differentColumns: { n: 2 } });
});

test("if a cluster time can no longer be read, the current documents are compared", async () => {
  await comparison.sql("UPDATE things SET n = -1 WHERE _id IN (1, 2)");
  await update(1, -1);
  const anHour = 3_600n << 32n;
  const result = await comparison.compareThings({ waitUntilCaughtUp: async () => (await now()) - anHour });
  expect(findings(result)).toEqual({ ...nothing, different: ["2"], differentColumns: { n: 1 } });
});

test("a key is listed as it differs in the last round", async () => {
  await comparison.sql("UPDATE things SET n = -1 WHERE _id = 1");
  const result = await comparison.compareThings({
    async waitUntilCaughtUp() {
      await comparison.source.db.collection<{ _id: number }>("things").deleteOne({ _id: 1 });
      return now();
    },
  });
  expect(findings(result)).toEqual({ ...nothing, extra: ["1"] });
});

test("verify waits only once for a pipeline that does not catch up, and the result shows it", async () => {
  await comparison.sql("DELETE FROM things");
  await comparison.insert(Array.from({ length: 25_000 }, (_, i) => ({ _id: new Int32(1000 + i) as never })));
  let waits = 0;
  const result = await comparison.compare({
    async waitUntilCaughtUp() {
      waits++;
      return null;
    },
  });
  expect(waits).toBe(1);
  expect(result).toMatchObject({ equal: false, caughtUp: false });
  expect(result.collections[0]).toMatchObject({ documents: 25_100, missingCount: 25_100, extraCount: 0 });
});

test("keys with an open dead letter are listed separately and do not make the result unequal", async () => {
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
