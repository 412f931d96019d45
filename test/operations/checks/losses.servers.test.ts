// What check, status and requests say about topics, records and requests that Kafka has lost while nothing runs: what the
// starts would say. Each finding is looked at for seconds before it counts, so those tests run at the same time that leave no
// process running: `freshPipeline` ends all such processes after each test.
import { expect, test } from "vitest";
import { deleteRecordsBefore, deleteTopics } from "../../../src/kafka/admin.ts";
import { listTopics } from "../../../src/kafka/topics.ts";
import { signalsTopic, topicOf } from "../../../src/schemas/topics.ts";
import { connectKafka } from "../../consumers/kafka/fixture.ts";
import { expectRefused, insertThings, pipelineOfThings, runUntilEqual, thingsOf } from "../../life/things.ts";
import { asKafkaAdmin, createTopic } from "../../support/kafka-admin.ts";
import { freshPipeline } from "../../support/pipeline.ts";
import type { Commands, Pipeline } from "../../support/pipeline.ts";
import { freshMongoDatabase } from "../../support/servers.ts";

const ONE_PARTITION = { kafka: { partitions: 1 } };
const RESNAPSHOT = { kafka: { onHistoryLost: "resnapshot" } };
const WAIT = ["status", "--wait-for", "now", "--timeout", "300"];
const RESYNC = ["resync", "--collection", "things"];
const SNAPSHOT = ["snapshot", "--collection", "things"];

function topicOfThings({ name, db }: Pipeline): string {
  return topicOf(name, db.databaseName, "things");
}

async function replaceTopic(topic: string): Promise<void> {
  await deleteTopics(connectKafka(), [topic]);
  await createTopic(topic, {});
}

/** Expects that both roles' checks, or those of one, fail with a code, and that status shows it with its remedy. */
async function expectNamed(
  commands: Commands,
  code: string,
  roles: readonly ("producer" | "consumer")[],
): Promise<void> {
  for (const role of ["producer", "consumer"] as const) {
    const { exitCode, stdout } = await commands.run("check", "--for", role);
    if (roles.includes(role))
      expect({ exitCode, stdout }).toMatchObject({ exitCode: 1, stdout: expect.stringContaining(`${code}: `) });
    else expect({ exitCode, stdout }).toMatchObject({ exitCode: 0, stdout: expect.not.stringContaining(code) });
  }
  const { stdout } = await commands.run("status");
  expect(stdout).toContain(`${code}: `);
  expect(stdout).toContain("kafka.onHistoryLost: resnapshot");
}

/** Expects that nothing is an error, and that check and status say what the next start does. */
async function expectSaid(commands: Commands): Promise<void> {
  const { exitCode, stdout } = await commands.run("check");
  expect({ exitCode, stdout }).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/next start[^\n]*again/) });
  expect((await commands.run("status")).stdout).toMatch(/copies [^\n]* again|a new copy of the collection/);
}

test.concurrent.each([
  ["deleted", "TOPIC_DELETED", (topic: string) => deleteTopics(connectKafka(), [topic])],
  ["created again", "TOPIC_RECREATED", replaceTopic],
])("a topic that was %s while nothing runs", async (_, code, lose) => {
  const pipeline = await pipelineOfThings(ONE_PARTITION);
  await lose(topicOfThings(pipeline));
  await expectNamed(pipeline, code, ["producer", "consumer"]);
  for (const command of [WAIT, SNAPSHOT, RESYNC, [...RESYNC, "--wait"]]) await expectRefused(pipeline, command, code);
  await expectSaid(await pipeline.reconfigured(RESNAPSHOT));
});

test.concurrent("a topic of a pipeline that replicates a whole database", async () => {
  const pipeline = await freshPipeline();
  await insertThings(pipeline, 1, 3);
  await runUntilEqual(pipeline);
  await deleteTopics(connectKafka(), [topicOfThings(pipeline)]);
  await expectNamed(pipeline, "TOPIC_DELETED", ["producer", "consumer"]);
  for (const command of [WAIT, SNAPSHOT]) await expectRefused(pipeline, command, "TOPIC_DELETED");
});

test("records that Kafka deleted before the consumer applied them", async () => {
  const pipeline = await pipelineOfThings(ONE_PARTITION);
  const topic = topicOfThings(pipeline);
  const before = await endOf(topic);
  const producer = pipeline.start("produce");
  await insertThings(pipeline, 6, 8);
  await expect.poll(() => endOf(topic), { timeout: 60_000 }).toBeGreaterThan(before);
  await producer.stop();
  await deleteRecordsBefore(connectKafka(), topic, await endOf(topic));
  await expectNamed(pipeline, "HISTORY_LOST_IN_KAFKA", ["consumer"]);
  for (const command of [WAIT, [...RESYNC, "--wait"]]) await expectRefused(pipeline, command, "HISTORY_LOST_IN_KAFKA");
  await expectSaid(await pipeline.reconfigured(RESNAPSHOT));
});

test.concurrent.each([
  ["was deleted", "TOPIC_DELETED", (topic: string) => deleteTopics(connectKafka(), [topic])],
  ["was created again", "TOPIC_RECREATED", replaceTopic],
  ["lost a request", "HISTORY_LOST_IN_KAFKA", (topic: string) => deleteRecordsBefore(connectKafka(), topic, 1n)],
])("a signals topic that %s: nothing is written into it", async (_, code, lose) => {
  const pipeline = await pipelineWithRefusedDocument();
  const topic = signalsTopic(pipeline.name);
  expect(await pipeline.run(...RESYNC)).toMatchObject({ exitCode: 0 });
  await lose(topic);
  const before = await stateOf(topic);
  await expectNamed(pipeline, code, ["producer"]);
  for (const command of [WAIT, SNAPSHOT, RESYNC, [...RESYNC, "--wait"], ["dlq", "replay"]])
    await expectRefused(pipeline, command, code);
  expect(await stateOf(topic)).toEqual(before);
  const resnapshot = await pipeline.reconfigured(RESNAPSHOT);
  await expectSaid(resnapshot);
  expect(await resnapshot.run(...RESYNC)).toMatchObject({ exitCode: 0 });
});

test.concurrent("a position of another database is named before a start", async () => {
  const pipeline = await pipelineOfThings();
  const other = await freshMongoDatabase();
  const moved = await pipeline.reconfigured({ mongodb: { database: other.name } });
  expect((await moved.run("check", "--for", "producer")).stdout).toContain("POSITION_OF_OTHER_DATABASE: ");
  expect((await moved.run("status")).stdout).toContain("POSITION_OF_OTHER_DATABASE: ");
});

test("whoever waits for tables gets the error of a producer that has ended, though everything was applied", async () => {
  const pipeline = await pipelineOfThings();
  const producer = pipeline.start("produce");
  pipeline.start("consume");
  await insertThings(pipeline, 6, 6);
  expect(await pipeline.run(...WAIT)).toMatchObject({ exitCode: 0 });
  await deleteTopics(connectKafka(), [signalsTopic(pipeline.name)]);
  expect(await producer.end()).toBe(1);
  await pipeline.pool.query(`DELETE FROM "${pipeline.schema}".things WHERE _id = 6`);
  const applied = new Date(Date.now() - 3_600_000).toISOString();
  for (const command of [WAIT, ["status", "--wait-for", applied, "--timeout", "300"], ["verify", "--repair"]])
    await expectRefused(pipeline, command, "TOPIC_DELETED");
});

test("whoever already waits gets the error of a producer that ends meanwhile", async () => {
  const pipeline = await pipelineOfThings(ONE_PARTITION);
  const producer = pipeline.start("produce");
  await insertThings(pipeline, 6, 6);
  // Without a consumer there is something to wait for, however long.
  const waiting = expectRefused(pipeline, WAIT, "TOPIC_DELETED");
  await deleteTopics(connectKafka(), [signalsTopic(pipeline.name)]);
  await waiting;
  expect(await producer.end()).toBe(1);
});

/** A pipeline with a dead letter of the producer: its replay needs a request. */
async function pipelineWithRefusedDocument(): Promise<Pipeline> {
  const pipeline = await pipelineOfThings();
  await thingsOf(pipeline).insertOne({ _id: "six" } as never);
  expect(await pipeline.run("run", "--once")).toMatchObject({ exitCode: 0 });
  expect(JSON.parse((await pipeline.run("dlq", "list", "--json")).stdout)).toHaveLength(1);
  return pipeline;
}

async function endOf(topic: string): Promise<bigint> {
  const [end] = await asKafkaAdmin((admin) => admin.fetchTopicOffsets(topic));
  return BigInt(end?.high ?? 0);
}

/** Its end; null if it does not exist. */
async function stateOf(topic: string): Promise<bigint | null> {
  const found = await listTopics(connectKafka(), (each) => each === topic);
  return found.length === 0 ? null : await endOf(topic);
}
