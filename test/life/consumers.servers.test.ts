// Several consumers of one pipeline: with one config they share the work, with two the younger one is refused.
import kafkajs, { logLevel } from "kafkajs";
import type { PartitionAssigner } from "kafkajs";
import { expect, test } from "vitest";
import { newKafka } from "../../src/kafka/client.ts";
import { consumerGroup, topicOf } from "../../src/schemas/topics.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { servers } from "../support/servers.ts";
import { expectEqual, expectRefused, idsIn, insertThings, INTEGER_IDS, pipelineOfThings } from "./things.ts";

// Node finds only some of kafkajs's exports by name.
const { AssignerProtocol, PartitionAssigners } = kafkajs;

async function runningPipeline(): Promise<Pipeline> {
  const pipeline = await freshPipeline({ kafka: { partitions: 4 }, collections: INTEGER_IDS });
  await insertThings(pipeline, 1, 5);
  pipeline.start("produce");
  return pipeline;
}

test("a second consumer with another config of the same name is refused, and the first goes on", async () => {
  const pipeline = await runningPipeline();
  const first = pipeline.start("consume");
  await expectEqual(pipeline, "--wait", "60");
  const other = await pipeline.reconfigured({ collections: { things: { idType: "integer", table: "elsewhere" } } });
  const { remedy } = await expectRefused(other, ["consume"], "CONSUMER_CONFIG_DIFFERS");
  expect(remedy).toContain("same config");
  await insertThings(pipeline, 6, 20);
  await expectEqual(pipeline, "--wait", "60");
  expect((await pipeline.pool.query("SELECT to_regclass('elsewhere') AS table")).rows).toEqual([{ table: null }]);
  expect(await first.stop()).toBeUndefined();
});

test("a consumer with a new config waits for the end of the one with the old config", async () => {
  const pipeline = await runningPipeline();
  const first = pipeline.start("consume");
  await expectEqual(pipeline, "--wait", "60");
  const other = await pipeline.reconfigured({ collections: { things: { idType: "integer", table: "elsewhere" } } });
  const second = other.start("consume");
  await second.logged("a consumer with another config is running");
  await first.stop();
  await expectEqual(other, "--wait", "60");
  expect(await idsIn(pipeline, "elsewhere")).toEqual([1, 2, 3, 4, 5]);
});

test("two consumers with the same config, written in another order, share the work", async () => {
  const pipeline = await freshPipeline({ collections: { ...INTEGER_IDS, others: {} } });
  await insertThings(pipeline, 1, 5);
  await pipeline.db.collection("others").insertOne({});
  pipeline.start("produce");
  pipeline.start("consume");
  const same = await pipeline.reconfigured({ collections: { others: {}, ...INTEGER_IDS } });
  const second = same.start("consume");
  await second.logged("partitions assigned");
  await insertThings(pipeline, 6, 20);
  await expectEqual(pipeline, "--wait", "60");
});

test("another program in the consumers' group is named and waited for", async () => {
  const pipeline = await pipelineOfThings();
  const stranger = newKafka({
    brokers: servers().kafkaBrokers.split(","),
    clientId: "stranger",
    logLevel: logLevel.NOTHING,
  });
  const member = stranger.consumer({
    groupId: consumerGroup(pipeline.name),
    partitionAssigners: [assignerWithData(Buffer.from("no JSON"))],
  });
  await member.connect();
  await member.subscribe({ topic: topicOf(pipeline.name, pipeline.db.databaseName, "things") });
  const joined = new Promise((resolve) => member.on("consumer.group_join", resolve));
  await member.run({ eachMessage: async () => {} });
  await joined;
  pipeline.start("produce");
  const consumer = pipeline.start("consume");
  await insertThings(pipeline, 6, 9);
  await consumer.logged("stranger at ");
  await member.disconnect();
  await expectEqual(pipeline, "--wait", "60");
});

/** kafkajs's own assigner with other data of the member. */
function assignerWithData(userData: Buffer): PartitionAssigner {
  return (context) => {
    const assigner = PartitionAssigners.roundRobin(context);
    const { name, version } = assigner;
    const metadata = ({ topics }: { topics: string[] }) =>
      AssignerProtocol.MemberMetadata.encode({ version, topics, userData });
    return { ...assigner, protocol: (members) => ({ name, metadata: metadata(members) }) };
  };
}
