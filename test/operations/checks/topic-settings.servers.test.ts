// Topics that an administrator has made beforehand, or changed.
import { expect, test } from "vitest";
import { newKafka } from "../../../src/kafka/client.ts";
import { setTopicConfig } from "../../../src/kafka/topic-configs.ts";
import { deadLetterTopic, positionsTopic, signalsTopic, topicOf } from "../../../src/schemas/topics.ts";
import { asKafkaAdmin, createTopic, topicSetting } from "../../support/kafka-admin.ts";
import { freshPipeline } from "../../support/pipeline.ts";
import type { Pipeline } from "../../support/pipeline.ts";
import { servers } from "../../support/servers.ts";

const MEGABYTE = String(1024 * 1024);

async function pipelineWithOne(kafka: Record<string, unknown> = {}): Promise<Pipeline & { readonly topic: string }> {
  const pipeline = await freshPipeline({ collections: { things: {} }, kafka });
  await pipeline.db.collection<{ _id: string }>("things").insertOne({ _id: "a" });
  return { ...pipeline, topic: topicOf(pipeline.name, pipeline.db.databaseName, "things") };
}

/** Does what the commands do that a text tells to run. @returns their number */
async function runKafkaConfigs(text: string): Promise<number> {
  const pattern =
    /kafka-configs\.sh --bootstrap-server (\S+) --alter --entity-type topics --entity-name (\S+) --add-config ([^;\s]+)/g;
  let commands = 0;
  for (const [, brokers, name = "", settings = ""] of text.matchAll(pattern)) {
    expect(brokers).toBe(servers().kafkaBrokers);
    const entries = settings.split(",").map((setting) => setting.split("=") as [string, string]);
    await setTopicConfig(newKafka({ brokers: [String(brokers)] }), name, new Map(entries));
    commands++;
  }
  return commands;
}

test.each([
  [
    "positions that are not compacted",
    positionsTopic,
    { "cleanup.policy": "delete" },
    "cleanup.policy=delete, not compact",
  ],
  [
    "positions that are also deleted",
    positionsTopic,
    { "cleanup.policy": "compact,delete" },
    "cleanup.policy=compact,delete, not compact",
  ],
  ["compacted dead letters", deadLetterTopic, { "cleanup.policy": "compact" }, "cleanup.policy=compact, not delete"],
  ["compacted signals", signalsTopic, { "cleanup.policy": "compact" }, "cleanup.policy=compact, not delete"],
  [
    "compression that Headrace cannot read",
    deadLetterTopic,
    { "compression.type": "lz4" },
    "compression.type=lz4, not producer",
  ],
])("check and start refuse %s, and the printed command mends it", async (_, topicOfPipeline, settings, message) => {
  const pipeline = await pipelineWithOne();
  const topic = topicOfPipeline(pipeline.name);
  await createTopic(topic, settings);
  const checked = await pipeline.run("check");
  expect(checked.stdout).toContain("TOPIC_SETTINGS: ");
  expect(checked.stdout).toContain(`The topic ${topic} has ${message}: `);
  expect(checked.exitCode).toBe(1);
  const started = await pipeline.run("run", "--once");
  expect(started.stderr).toContain(`The topic ${topic} has ${message}: `);
  expect(started.exitCode).toBe(1);
  expect(await runKafkaConfigs(checked.stdout)).toBe(1);
  const mended = await pipeline.run("check");
  expect(mended.stdout).toContain("All checks passed.");
  expect(mended.exitCode).toBe(0);
});

test("check and start name settings with which something works less well, and the pipeline runs", async () => {
  const pipeline = await pipelineWithOne();
  const internal = [positionsTopic, deadLetterTopic, signalsTopic].map((topicOfPipeline) =>
    topicOfPipeline(pipeline.name),
  );
  const [positions = "", deadLetters = ""] = internal;
  for (const topic of internal) {
    const policy = topic === positions ? "compact" : "delete";
    await createTopic(topic, { "cleanup.policy": policy, "max.message.bytes": MEGABYTE, "compression.type": "gzip" });
  }
  await createTopic(pipeline.topic, { "max.message.bytes": MEGABYTE }, 4);
  const { stdout, exitCode } = await pipeline.run("check");
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/All checks passed\. 4 with a warning \(!\)\./);
  const started = await pipeline.run("run", "--once");
  expect(started.exitCode, started.stderr).toBe(0);
  for (const text of [stdout, started.stderr]) {
    for (const topic of [...internal, pipeline.topic])
      expect(text).toContain(`The topic ${topic} has max.message.bytes=${MEGABYTE}, not `);
    expect(text).toContain(`The topic ${deadLetters} has compression.type=gzip, not producer: `);
  }
  expect(await runKafkaConfigs(stdout)).toBe(4);
  expect((await pipeline.run("check")).stdout).toMatch(/All checks passed\.\n/);
});

test("check and start refuse Headrace's own topics with more than one partition", async () => {
  const pipeline = await pipelineWithOne();
  await createTopic(signalsTopic(pipeline.name), {}, 3);
  for (const args of [["check"], ["run", "--once"]] as const) {
    const { stdout, stderr, exitCode } = await pipeline.run(...args);
    expect(stdout + stderr).toContain(`${signalsTopic(pipeline.name)} has 3 partitions, not 1`);
    expect(exitCode).toBe(1);
  }
});

test("topics are created with settings of their own where a broker's default would do harm", async () => {
  const pipeline = await pipelineWithOne();
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const internal = [positionsTopic, deadLetterTopic, signalsTopic].map((topicOfPipeline) =>
    topicOfPipeline(pipeline.name),
  );
  for (const topic of [...internal, pipeline.topic]) {
    for (const setting of ["compression.type", "cleanup.policy", "max.message.bytes"])
      expect(await topicSetting(topic, setting)).toMatchObject({ isDefault: false });
  }
});

test("deadLetters.retentionMs is the retention of the dead-letter topic, also of one that 0.1.0 made", async () => {
  const pipeline = await pipelineWithOne({ retentionMs: 3_600_000 });
  const topic = deadLetterTopic(pipeline.name);
  const days30 = String(30 * 24 * 60 * 60 * 1000);
  await createTopic(topic, { "cleanup.policy": "delete", "retention.ms": "3600000" });
  expect((await pipeline.run("check")).stdout).toContain(
    `The topic ${topic} has retention.ms=3600000, not ${days30}: somebody has set it, or deadLetters.retentionMs has changed.`,
  );
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  expect(await topicSetting(topic, "retention.ms")).toMatchObject({ configValue: days30 });
  const other = await pipeline.reconfigured({ deadLetters: { retentionMs: -1 } });
  expect((await other.run("run", "--once")).exitCode).toBe(0);
  expect(await topicSetting(topic, "retention.ms")).toMatchObject({ configValue: "-1" });
  expect(await topicSetting(pipeline.topic, "retention.ms")).toMatchObject({ configValue: "3600000" });
});

test("a changed kafka.retentionMs is named by check and set by the next start", async () => {
  const pipeline = await pipelineWithOne({ retentionMs: 3_600_000 });
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  await asKafkaAdmin((admin) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: 2,
          name: pipeline.topic,
          configEntries: [
            { name: "retention.ms", value: "7200000" },
            { name: "delete.retention.ms", value: "1234567" },
          ],
        },
      ],
    }),
  );
  const { stdout, exitCode } = await pipeline.run("check");
  expect(stdout).toContain(`The topic ${pipeline.topic} has retention.ms=7200000, not 3600000: `);
  expect(exitCode).toBe(0);
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  expect(await topicSetting(pipeline.topic, "retention.ms")).toMatchObject({ configValue: "3600000" });
  // What an administrator has set besides stays.
  expect(await topicSetting(pipeline.topic, "delete.retention.ms")).toMatchObject({ configValue: "1234567" });
  expect((await pipeline.run("check")).stdout).not.toContain("retention.ms");
});
