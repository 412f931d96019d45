// What happens to topics and collections: deleted, created again, taken out of the config and put back, positions lost.
import { expect, test } from "vitest";
import { deleteTopics } from "../../src/kafka/admin.ts";
import { fetchEndOffsets } from "../../src/kafka/topics.ts";
import { positionsTopic, topicOf } from "../../src/schemas/topics.ts";
import { connectKafka } from "../consumers/kafka/fixture.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Commands, Pipeline } from "../support/pipeline.ts";
import {
  expectRefused,
  idsIn,
  insertThings,
  INTEGER_IDS,
  pipelineOfThings,
  runOnce,
  runUntilEqual,
  thingsOf,
  watermarkOf,
} from "./things.ts";

const PARTITIONS = 2;
const MOVED = { collections: { things: { idType: "integer", table: "elsewhere" } } };

function topicOfThings({ name, db }: Pipeline): string {
  return topicOf(name, db.databaseName, "things");
}

function withResnapshot(pipeline: Pipeline): Promise<Commands> {
  return pipeline.reconfigured({ kafka: { onHistoryLost: "resnapshot" } });
}

/** Deletes the topic and, where wanted, creates it again with more records than it had. */
async function loseTopic(pipeline: Pipeline, isCreatedAgain: boolean): Promise<void> {
  const kafka = connectKafka();
  const topic = topicOfThings(pipeline);
  await deleteTopics(kafka, [topic]);
  if (!isCreatedAgain) return;
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: true });
  await admin.disconnect();
}

test.each([
  ["deleted", "TOPIC_DELETED", false],
  ["created again", "TOPIC_RECREATED", true],
])(
  "a topic that was %s stops both sides at every start, until the collection may be copied again",
  async (_, code, isCreatedAgain) => {
    const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
    await loseTopic(pipeline, isCreatedAgain);
    await thingsOf(pipeline).deleteOne({ _id: 5 });
    await insertThings(pipeline, 6, 8);
    for (const side of ["produce", "consume", "produce"]) await expectRefused(pipeline, [side], code);
    const resnapshot = await withResnapshot(pipeline);
    await runOnce(resnapshot);
    await runUntilEqual(resnapshot);
    expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 6, 7, 8]);
    // It is the known one now.
    await runUntilEqual(pipeline);
  },
);

test("a topic that was created again and read again is known to the collection's earlier table, too", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  const moved = await pipeline.reconfigured(MOVED);
  await runUntilEqual(moved);
  await runUntilEqual(pipeline);
  await loseTopic(pipeline, true);
  await runUntilEqual(await withResnapshot(pipeline));
  await runUntilEqual(moved);
});

test("a topic that was created again is noticed, though the config has another table for it", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  await loseTopic(pipeline, true);
  await expectRefused(await pipeline.reconfigured(MOVED), ["consume"], "TOPIC_RECREATED");
});

test.each([
  ["produce", "consume"],
  ["consume", "produce"],
])("a topic that is deleted while both run is never created again in silence: %s ends first", async (first, second) => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  const processes = { [first]: pipeline.start(first), [second]: pipeline.start(second) };
  await insertThings(pipeline, 6, 6);
  expect(await pipeline.run("status", "--wait-for", "now", "--timeout", "60")).toMatchObject({ exitCode: 0 });
  await processes[first]?.stop();
  await loseTopic(pipeline, false);
  await insertThings(pipeline, 7, 7);
  expect(await processes[second]?.end()).toBe(1);
  expect(processes[second]?.logTail()).toContain("TOPIC_DELETED");
  for (const side of [first, second]) await expectRefused(pipeline, [side], "TOPIC_DELETED");
});

test("a topic that is created again while the producer runs is noticed, also if nothing changes", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  const producer = pipeline.start("produce");
  const consumer = pipeline.start("consume");
  expect(await pipeline.run("status", "--wait-for", "now", "--timeout", "60")).toMatchObject({ exitCode: 0 });
  await consumer.stop();
  await loseTopic(pipeline, true);
  expect(await producer.end()).toBe(1);
  expect(producer.logTail()).toMatch(/TOPIC_(RECREATED|DELETED)/);
});

test("with resnapshot, a topic that is deleted while both run is created and filled again without a restart", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  const resnapshot = await withResnapshot(pipeline);
  resnapshot.start("run");
  await insertThings(pipeline, 6, 6);
  expect(await pipeline.run("status", "--wait-for", "now", "--timeout", "60")).toMatchObject({ exitCode: 0 });
  await loseTopic(pipeline, false);
  await thingsOf(pipeline).deleteOne({ _id: 1 });
  await insertThings(pipeline, 7, 7);
  const verified = await resnapshot.run("verify", "--json", "--wait", "120");
  expect(JSON.parse(verified.stdout), verified.stderr).toMatchObject({ equal: true });
});

test("a collection that was taken out of the config and put back has no row of a document that was deleted meanwhile", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  await pipeline.db.collection("others").insertOne({});
  const without = await pipeline.reconfigured({ collections: { others: {} } });
  await runOnce(without);
  await thingsOf(pipeline).deleteMany({ _id: { $lte: 2 } });
  await insertThings(pipeline, 6, 6);
  await runOnce(without);
  const changed = { things: { idType: "integer", columns: { n: "integer" } }, others: {} };
  const back = await pipeline.reconfigured({ collections: changed });
  await runUntilEqual(back);
  expect(await idsIn(pipeline)).toEqual([3, 4, 5, 6]);
});

test("in snapshot mode never, a warning names a collection that was put back and is not copied", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  await pipeline.db.collection("others").insertOne({});
  await runOnce(await pipeline.reconfigured({ collections: { others: {} } }));
  await thingsOf(pipeline).deleteMany({ _id: { $lte: 2 } });
  await runOnce(await pipeline.reconfigured({ collections: { others: {} } }));
  const back = await pipeline.reconfigured({
    collections: { ...INTEGER_IDS, others: {} },
    snapshot: { mode: "never" },
  });
  const { stderr } = await runOnce(back);
  expect(stderr).toMatch(/"collections":\["things"\].*snapshot.mode is never/);
  expect(await back.run("resync", "--collection", "things")).toMatchObject({ exitCode: 0 });
  await runUntilEqual(back);
  expect(await idsIn(pipeline)).toEqual([3, 4, 5]);
});

test("nobody waits for the records of a collection that was taken out of the config", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  await insertThings(pipeline, 6, 6);
  // Their records are in Kafka, and no consumer has applied them.
  const producer = pipeline.start("produce");
  const kafka = connectKafka();
  const endOf = async () =>
    (await fetchEndOffsets(kafka, [topicOfThings(pipeline)])).reduce((sum, { offset }) => sum + offset, 0n);
  const before = await endOf();
  await insertThings(pipeline, 7, 9);
  await expect.poll(endOf, { timeout: 60_000 }).toBeGreaterThan(before);
  await producer.stop();
  await pipeline.db.collection("others").insertOne({});
  const without = await pipeline.reconfigured({ collections: { others: {} } });
  await runOnce(without);
  without.start("run");
  const waited = await without.run("status", "--wait-for", "now", "--timeout", "60");
  expect(waited, waited.stderr).toMatchObject({ exitCode: 0 });
  const { stdout } = await without.run("status", "--json");
  expect(JSON.stringify(JSON.parse(stdout))).not.toContain(topicOfThings(pipeline));
});

test("a pipeline that has lost its positions has no row of a document that was deleted meanwhile", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  await deleteTopics(connectKafka(), [positionsTopic(pipeline.name)]);
  expect((await pipeline.run("status")).stdout).toContain("or Kafka has lost its position");
  await thingsOf(pipeline).deleteMany({ _id: { $lte: 2 } });
  await runUntilEqual(pipeline);
  expect(await idsIn(pipeline)).toEqual([3, 4, 5]);
});

test.each([
  ["by its start", []],
  ["by a resync", ["resync", "--collection", "things"]],
])("a copy in snapshot mode only, %s, sweeps the rows that an earlier one has made", async (_, command) => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  const only = await pipeline.reconfigured({ snapshot: { mode: "only" } });
  await insertThings(pipeline, 6, 8);
  await runOnce(only);
  expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  await thingsOf(pipeline).deleteMany({ _id: { $in: [1, 7] } });
  if (command.length > 0) expect(await only.run(...command)).toMatchObject({ exitCode: 0 });
  await runUntilEqual(only);
  expect(await idsIn(pipeline)).toEqual([2, 3, 4, 5, 6, 8]);
  // The stream then goes on where it stood.
  await runUntilEqual(pipeline);
});

test("rows that were in the table before the pipeline are gone after its first snapshot, unless their documents exist", async () => {
  const pipeline = await freshPipeline({ collections: { things: { idType: "integer", columns: { n: "integer" } } } });
  await pipeline.pool.query(
    "CREATE TABLE things (_id bigint PRIMARY KEY, n integer); INSERT INTO things VALUES (1, 7), (99, 7)",
  );
  await insertThings(pipeline, 1, 3);
  await runUntilEqual(pipeline);
  expect(await idsIn(pipeline)).toEqual([1, 2, 3]);
  expect(await watermarkOf(pipeline)).not.toBeNull();
});

test("a changed mapping copies the collection again while changes go on", async () => {
  const pipeline = await freshPipeline({ collections: { things: { idType: "integer", columns: { n: "integer" } } } });
  await thingsOf(pipeline).insertMany([
    { _id: 1, n: 1, m: "one", o: "other" } as never,
    { _id: 2, n: 2, m: "two" } as never,
  ]);
  await runUntilEqual(pipeline);
  const columns = { n: "integer", m: "text" };
  const mapped = await pipeline.reconfigured({ collections: { things: { idType: "integer", columns } } });
  await runUntilEqual(mapped);
  const { rows } = await pipeline.pool.query("SELECT _id::int, m FROM things ORDER BY 1");
  expect(rows).toEqual([
    { _id: 1, m: "one" },
    { _id: 2, m: "two" },
  ]);
  // Another path for a column has the same schema, but other rows.
  const swapped = { n: "integer", m: { type: "text", path: ["o"] } };
  const again = await pipeline.reconfigured({ collections: { things: { idType: "integer", columns: swapped } } });
  await runUntilEqual(again);
  const after = await pipeline.pool.query("SELECT m FROM things ORDER BY _id");
  expect(after.rows).toEqual([{ m: "other" }, { m: null }]);
});

test("a table is not complete while the producer still runs with the mapping before", async () => {
  const pipeline = await pipelineOfThings({ kafka: { partitions: PARTITIONS } });
  const columns = { n: "integer" };
  const mapped = await pipeline.reconfigured({ collections: { things: { idType: "integer", columns } } });
  const producer = pipeline.start("produce");
  mapped.start("consume");
  await thingsOf(pipeline).updateOne({ _id: 1 }, { $set: { n: 7 } });
  const waited = await mapped.run("status", "--wait-for", "now", "--timeout", "10");
  expect(waited).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("CATCH_UP_TIMEOUT") });
  expect(waited.stderr).toContain("Restart the producer");
  expect((await mapped.run("status")).stdout).toMatch(/incomplete .*\.things: .*mapping.* Restart the producer/);
  expect((await mapped.run("check")).stdout).toMatch(
    /! has no records of another mapping[^]*"things"[^]*Restart the producer/,
  );
  await producer.stop();
  mapped.start("produce");
  const again = await mapped.run("status", "--wait-for", "now");
  expect(again, again.stderr).toMatchObject({ exitCode: 0 });
  expect(again.stdout).not.toContain("incomplete");
  expect((await mapped.run("check")).stdout).toContain("✓ has no records of another mapping");
  const { rows } = await pipeline.pool.query("SELECT sum(n)::int AS sum, count(n)::int AS count FROM things");
  expect(rows).toEqual([{ sum: 7, count: 5 }]);
});
