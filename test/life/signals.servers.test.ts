// What happens to requests that wait in the signals topic.
import { expect, test } from "vitest";
import { deleteTopics } from "../../src/kafka/admin.ts";
import { signalsTopic } from "../../src/schemas/topics.ts";
import { connectKafka } from "../consumers/kafka/fixture.ts";
import { asKafkaAdmin, createTopic } from "../support/kafka-admin.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { expectRefused, idsIn, insertThings, pipelineOfThings, runOnce, runUntilEqual } from "./things.ts";

const RESYNC = ["resync", "--collection", "things"];

/** A pipeline whose table has a row too much, with a request for a resync that nobody has carried out. */
async function pipelineWithRequest(): Promise<Pipeline> {
  const pipeline = await pipelineOfThings();
  await pipeline.pool.query(`INSERT INTO "${pipeline.schema}".things (_id, _version) VALUES (9, 1)`);
  expect(await pipeline.run(...RESYNC)).toMatchObject({ exitCode: 0 });
  return pipeline;
}

function loseSignalsTopic({ name }: Pipeline): Promise<void> {
  return deleteTopics(connectKafka(), [signalsTopic(name)]);
}

async function replaceSignalsTopic(pipeline: Pipeline): Promise<void> {
  await loseSignalsTopic(pipeline);
  await createTopic(signalsTopic(pipeline.name), {});
}

async function loseSignals({ name }: Pipeline): Promise<void> {
  const topic = signalsTopic(name);
  await asKafkaAdmin(async (admin) => {
    // kafkajs knows only the topics that it was asked about.
    await admin.fetchTopicMetadata({ topics: [topic] });
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "1" }] });
  });
}

test.each([
  ["was deleted", "TOPIC_DELETED", loseSignalsTopic],
  ["was deleted and created again", "TOPIC_RECREATED", replaceSignalsTopic],
  ["lost its records", "HISTORY_LOST_IN_KAFKA", loseSignals],
])("a request is not lost in silence when the signals topic %s", async (_, code, lose) => {
  const pipeline = await pipelineWithRequest();
  await lose(pipeline);
  for (const side of ["produce", "run"]) {
    const { message, remedy } = await expectRefused(pipeline, [side], code);
    expect(message).toContain(`signals topic ${signalsTopic(pipeline.name)}`);
    expect(message).toMatch(/requests/i);
    expect(remedy).toContain("it copies all collections again");
  }
  const resnapshot = await pipeline.reconfigured({ kafka: { onHistoryLost: "resnapshot" } });
  expect((await runOnce(resnapshot)).stderr).toContain("All collections are copied again.");
  expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 5]);
  // It is the known one now.
  await runUntilEqual(pipeline);
});

test("a running producer ends when its signals topic is deleted, and says what is lost and how to go on", async () => {
  const pipeline = await pipelineOfThings();
  const producer = pipeline.start("produce");
  await insertThings(pipeline, 6, 6);
  pipeline.start("consume");
  expect(await pipeline.run("status", "--wait-for", "now")).toMatchObject({ exitCode: 0 });
  await loseSignalsTopic(pipeline);
  expect(await producer.end()).toBe(1);
  expect(producer.logTail()).toContain(
    `"TOPIC_DELETED","message":"Kafka no longer has the signals topic ${signalsTopic(pipeline.name)}.`,
  );
  expect(producer.logTail()).toContain("it copies all collections again");
});

test("a request is carried out that comes into a signals topic that was created again while the producer runs", async () => {
  const pipeline = await pipelineOfThings();
  const resnapshot = await pipeline.reconfigured({ kafka: { onHistoryLost: "resnapshot" } });
  resnapshot.start("produce");
  resnapshot.start("consume");
  for (const id of [8, 9]) {
    await pipeline.pool.query(`INSERT INTO "${pipeline.schema}".things (_id, _version) VALUES ($1, 1)`, [id]);
    expect(await resnapshot.run(...RESYNC, "--wait")).toMatchObject({ exitCode: 0 });
    expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 5]);
    await loseSignalsTopic(pipeline);
  }
});
