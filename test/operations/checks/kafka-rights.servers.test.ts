// Users of Kafka who lack a right, on a Kafka with the standard authorizer.
import { readFile } from "node:fs/promises";
import { expect, test, vi } from "vitest";
import { topicOf } from "../../../src/schemas/topics.ts";
import { aclsOf } from "../../support/kafka-acls.ts";
import { asKafkaAdmin } from "../../support/kafka-admin.ts";
import { useSecuredKafka } from "../../support/own-kafka.ts";
import type { KafkaUser } from "../../support/own-kafka.ts";
import { freshPipeline } from "../../support/pipeline.ts";
import type { Commands, Pipeline } from "../../support/pipeline.ts";

const kafka = useSecuredKafka();

const sasl = ({ username, password }: KafkaUser) => ({ mechanism: "plain", username, password });

/** A pipeline with one document; its own commands are those of Kafka's administrator. */
async function securedPipeline(collections: Record<string, unknown> | null = { things: {} }): Promise<Pipeline> {
  const settings = { brokers: kafka.brokers.join(","), sasl: kafka.admin.sasl };
  const pipeline = await freshPipeline({ kafka: settings, ...(collections === null ? {} : { collections }) });
  await pipeline.db.collection<{ _id: string }>("things").insertOne({ _id: "a" });
  return pipeline;
}

/** The pipeline's commands as a user with the rights that the kafka-acls commands in a text give. */
async function asUser(
  pipeline: Pipeline,
  rights: (user: KafkaUser) => string,
  settings: Record<string, unknown> = {},
): Promise<Commands> {
  const user = kafka.freshUser();
  await grant(rights(user));
  return await pipeline.through({ kafkaBrokers: kafka.brokers.join(",") }, { sasl: sasl(user), ...settings });
}

async function grant(text: string): Promise<number> {
  const acl = aclsOf(text);
  if (acl.length > 0) await asKafkaAdmin((admin) => admin.createAcls({ acl }), kafka.admin);
  return acl.length;
}

/** `Read topic NAME` becomes the command that gives it. */
function commandFor({ username }: KafkaUser, right: string): string {
  const [operation = "", resource = "", name = ""] = right.split(" ");
  return `kafka-acls.sh --add --allow-principal User:${username} --operation ${operation} --${resource} ${name}`;
}

interface Names {
  readonly name: string;
  readonly collection: string;
}

/** The rights of both roles, one by one, once the topics exist. */
function allRights({ name, collection }: Names): string[] {
  return [
    `Write transactional-id headrace.${name}`,
    `Read group headrace.${name}`,
    ...["Read", "Write", "DescribeConfigs"].map((operation) => `${operation} topic ${name}.positions`),
    ...["Read", "Write", "DescribeConfigs"].map((operation) => `${operation} topic ${name}.signals`),
    ...["Write", "DescribeConfigs"].map((operation) => `${operation} topic ${name}.dlq`),
    ...["Read", "Write", "DescribeConfigs"].map((operation) => `${operation} topic ${collection}`),
  ];
}

test("check names each right that is missing, its resource and the role, and the printed command gives it", async () => {
  const pipeline = await securedPipeline();
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const names = { name: pipeline.name, collection: topicOf(pipeline.name, pipeline.db.databaseName, "things") };
  for (const missing of allRights(names)) {
    const rights = allRights(names).filter((right) => right !== missing);
    const user = await asUser(pipeline, (each) => rights.map((right) => commandFor(each, right)).join("\n"));
    const { stdout, exitCode } = await user.run("check");
    const [operation = "", resource = "", name = ""] = missing.split(" ");
    expect(stdout, missing).toMatch(/KAFKA_FORBIDDEN: The user user\d+ of kafka\.sasl lacks rights in Kafka: /);
    // A topic of which the user must not even know counts as one without any right.
    const right = new RegExp(`${operation}( and \\w+)* on the ${resource.replace("-", " ")} ${name} \\(for the `);
    expect(stdout).toMatch(right);
    expect(exitCode).toBe(1);
    expect(await grant(stdout)).toBeGreaterThan(0);
    expect((await user.run("check")).stdout, missing).toContain("All checks passed.");
  }
}, 600_000);

test("check says that the topics cannot be created", async () => {
  const pipeline = await securedPipeline();
  const user = await asUser(pipeline, (each) =>
    [
      `Write transactional-id headrace.${pipeline.name}`,
      `Read group headrace.${pipeline.name}`,
      ...["Read", "Write", "DescribeConfigs"].map(
        (operation) => `${operation} topic ${pipeline.name}. --resource-pattern-type prefixed`,
      ),
    ]
      .map(
        (right) => `${commandFor(each, right)}${right.includes("prefixed") ? " --resource-pattern-type prefixed" : ""}`,
      )
      .join("\n"),
  );
  const { stdout, exitCode } = await user.run("check");
  expect(stdout).toContain(`KAFKA_FORBIDDEN: The user may not create the topic ${pipeline.name}.`);
  expect(stdout).toContain(`the right Create on topics with the prefix ${pipeline.name}.`);
  expect(exitCode).toBe(1);
});

test.each([
  ["produce", "Write transactional-id", "for the producer"],
  ["consume", "Read group", "for the consumer"],
  ["consume", "Read topic", "for the consumer"],
  ["consume", "Write topic", "for the consumer"],
])("%s without %s ends at once and says so", async (command, missing, role) => {
  const pipeline = await securedPipeline();
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const names = { name: pipeline.name, collection: topicOf(pipeline.name, pipeline.db.databaseName, "things") };
  const rights = allRights(names).filter((right) => !right.startsWith(missing));
  const user = await asUser(pipeline, (each) => rights.map((right) => commandFor(each, right)).join("\n"));
  const { stderr, exitCode } = await user.run(command);
  const [operation = "", resource = ""] = missing.split(" ");
  expect(stderr).toContain(`${operation} on the ${resource.replace("-", " ")} `);
  expect(stderr).toContain(role);
  expect(stderr).not.toContain("check that the brokers run");
  expect(exitCode).toBe(1);
});

test.each([
  ["of listed collections", { things: {} }],
  ["of a whole database", null],
])("a consumer %s that may read no topic does not wait for topics in silence", async (_, collections) => {
  const pipeline = await securedPipeline(collections);
  const user = await asUser(pipeline, (each) => commandFor(each, `Read group headrace.${pipeline.name}`));
  const { stderr, exitCode } = await user.run("consume");
  expect(stderr).toContain(`Read on the topic ${pipeline.name}.${pipeline.db.databaseName}.`);
  expect(exitCode).toBe(1);
});

test("a consumer that started before its topics existed names the right that is missing on them", async () => {
  const pipeline = await securedPipeline();
  const user = await asUser(
    pipeline,
    (each) =>
      `${commandFor(each, `Read group headrace.${pipeline.name}`)}\n${commandFor(each, `Read topic ${pipeline.name}.`)} --resource-pattern-type prefixed`,
  );
  const consumer = user.start("consume");
  await consumer.logged("waiting for the producer");
  const producer = pipeline.start("produce");
  expect(await consumer.end()).toBe(1);
  expect(consumer.logTail()).toContain(`Write on the topic ${pipeline.name}.dlq (for the consumer)`);
  await producer.kill();
});

test("a right that is taken away while a process runs ends it, and is named", async () => {
  const pipeline = await securedPipeline();
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const collection = topicOf(pipeline.name, pipeline.db.databaseName, "things");
  const lines: string[] = [];
  const user = await asUser(pipeline, (each) => {
    lines.push(...allRights({ name: pipeline.name, collection }).map((right) => commandFor(each, right)));
    return lines.join("\n");
  });
  const consumer = user.start("consume");
  const producer = user.start("produce");
  await pipeline.db.collection<{ _id: string }>("things").insertOne({ _id: "b" });
  const rows = async () => (await pipeline.pool.query(`SELECT FROM ${pipeline.schema}.things`)).rowCount;
  await vi.waitFor(async () => expect(await rows()).toBe(2), 60_000);
  const filters = aclsOf(lines.filter((line) => /transactional-id|group/.test(line)).join("\n"));
  await asKafkaAdmin((admin) => admin.deleteAcls({ filters }), kafka.admin);
  expect(await Promise.all([consumer.end(), producer.end()])).toEqual([1, 1]);
  expect(consumer.logTail()).toContain(`Read on the group headrace.${pipeline.name}`);
  expect(producer.logTail()).toContain(`Write on the transactional id headrace.${pipeline.name}`);
});

test("a producer that may not set a topic's retention says how to set it, and goes on", async () => {
  const pipeline = await securedPipeline();
  expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
  const collection = topicOf(pipeline.name, pipeline.db.databaseName, "things");
  const rights = (each: KafkaUser) =>
    allRights({ name: pipeline.name, collection })
      .map((right) => commandFor(each, right))
      .join("\n");
  const user = await asUser(pipeline, rights, { retentionMs: 3_600_000 });
  const { exitCode, stderr } = await user.run("run", "--once");
  expect(exitCode, stderr).toBe(0);
  expect(stderr).toContain(`this user may not set retention.ms of the topic`);
  expect(stderr).toContain(`--entity-name ${collection} --add-config retention.ms=3600000`);
  expect(await user.run("check")).toMatchObject({ stdout: expect.stringContaining("retention.ms") });
});

test("the rights of docs/rights.md suffice, and no command leaves a consumer group behind", async () => {
  const pipeline = await securedPipeline();
  const page = (await readFile(new URL("../../../docs/rights.md", import.meta.url), "utf8"))
    .replaceAll("shop", pipeline.name)
    .replaceAll("store", pipeline.db.databaseName);
  const as = (role: string) =>
    asUser(pipeline, ({ username }) =>
      page
        .split("\n")
        .filter((line) => line.includes(`User:${role} `))
        .join("\n")
        .replaceAll(role, username),
    );
  const [producer, consumer, operator, remover] = await Promise.all(
    ["PRODUCER", "CONSUMER", "OPERATOR", "REMOVER"].map(as),
  );
  const processes = [producer?.start("produce"), consumer?.start("consume")];
  // Each has only its own rights.
  for (const [user, role] of [
    [producer, "producer"],
    [consumer, "consumer"],
  ] as const) {
    const { exitCode, stdout } = (await user?.run("check", "--for", role)) ?? {};
    expect(exitCode, stdout).toBe(0);
    expect(await user?.run("check")).toMatchObject({ exitCode: 1, stdout: expect.stringContaining("KAFKA_FORBIDDEN") });
  }
  const commands = [
    ["status", "--wait-for", "now"],
    ["snapshot", "--collection", "things", "--wait"],
    ["resync", "--collection", "things", "--wait"],
    ["verify"],
    ["dlq", "list"],
    ["status"],
  ];
  for (const command of commands) {
    const result = await operator?.run(...command);
    expect(result?.exitCode, `${command.join(" ")}: ${result?.stdout}${result?.stderr}`).toBe(0);
  }
  const groups = async () => {
    const { groups: found } = await asKafkaAdmin((admin) => admin.listGroups(), kafka.admin);
    return found.map(({ groupId }) => groupId).filter((id) => id.includes(pipeline.name));
  };
  expect(await groups()).toEqual([`headrace.${pipeline.name}`]);
  for (const each of processes) await each?.stop();
  for (const command of [
    ["remove", "--collection", "things", "--yes"],
    ["remove", "--pipeline", "--yes", "--tables"],
  ]) {
    const result = await remover?.run(...command);
    expect(result?.exitCode, `${command.join(" ")}: ${result?.stdout}${result?.stderr}`).toBe(0);
  }
  expect(await groups()).toEqual([]);
});
