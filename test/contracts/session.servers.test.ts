import { describe } from "vitest";
import { kafkaSessions } from "../../src/producers/kafka/session.ts";
import { createLogger } from "../../src/runtime/logger.ts";
import { pipelineName, pipelineTopics, readTopic, testKafka } from "../producers/kafka/pipeline-topics.ts";
import { sessionContract } from "./session.ts";
import type { SessionsUnderTest } from "./session.ts";

describe("KafkaSession", () => sessionContract(setUpKafkaSessions));

async function setUpKafkaSessions(): Promise<SessionsUnderTest> {
  const name = pipelineName();
  const topics = pipelineTopics(name, "db");
  await topics.prepareInternal();
  const { topic } = await topics.topicOf("things");
  let processes = 0;
  return {
    startProcess: () =>
      kafkaSessions({
        kafka: testKafka(),
        name,
        instance: { id: `instance ${processes}`, startedAtMs: processes++ },
        watch: null,
        limits: topics.limits,
        logger: createLogger({ level: "silent" }),
        messageLimits: () => topics.messageLimits(),
        makeRecords: async (events) =>
          events.map(({ version }) => {
            const key = Buffer.from(String(version));
            return { topic, partition: 0, key, value: key, timestampMs: Date.now() };
          }),
      }),
    published: async () => (await readTopic(topic)).map(({ key }) => BigInt(String(key))),
  };
}
