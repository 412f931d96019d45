import { randomBytes } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { createKafkaDeadLetterReader, createKafkaDeadLetterWriter } from "../../src/consumers/dead-letters/topic.ts";
import type { LogRecord } from "../../src/consumers/ports.ts";
import { HeadraceError } from "../../src/errors/error.ts";
import { useKafka } from "../consumers/kafka/fixture.ts";
import { uniqueName } from "../support/servers.ts";
import { describeDeadLetters } from "./dead-letters.ts";

const fixture = useKafka();
const never = new AbortController().signal;

function connect(topic: string) {
  const writer = createKafkaDeadLetterWriter({ kafka: fixture.kafka, topic, pipeline: "shop", taskId: "test" });
  onTestFinished(() => writer.close());
  return { reader: createKafkaDeadLetterReader(fixture.kafka, topic), writer };
}

async function freshQueue() {
  const topic = `${fixture.prefix}.${uniqueName("dlq")}`;
  await fixture.createTopic(topic, 1, { "max.message.bytes": String(32 * 1024 * 1024) });
  return { topic, ...connect(topic) };
}

describeDeadLetters("Kafka", freshQueue);

const failure = {
  error: new HeadraceError("VALUE_REFUSED", { message: "refused" }),
  stage: "TASK_PUT",
  table: null,
  attempts: 1,
} as const;

function record(more: Partial<LogRecord>): LogRecord {
  return { topic: "t", partition: 0, offset: 0n, key: null, value: null, headers: {}, timestampMs: 0, ...more };
}

async function values(reader: ReturnType<typeof connect>["reader"]): Promise<string[]> {
  const read: string[] = [];
  await reader.scan((each) => Promise.resolve(void read.push(String(each.value))), { signal: never });
  return read;
}

test("a dead letter of 16 MB is written and read", async () => {
  const { reader, writer } = await freshQueue();
  const value = randomBytes(16 * 1024 * 1024);
  await writer.write(record({ value }), failure);
  let read: LogRecord | undefined;
  await reader.scan((each) => Promise.resolve(void (read = each)), { signal: never });
  expect(read?.value?.equals(value)).toBe(true);
});

test("a dead letter above the topic's limit is refused with a remedy", async () => {
  const topic = `${fixture.prefix}.${uniqueName("dlq")}`;
  await fixture.createTopic(topic, 1, { "max.message.bytes": "1000" });
  const { writer } = connect(topic);
  await expect(writer.write(record({ value: randomBytes(2_000) }), failure)).rejects.toMatchObject({
    code: "KAFKA_MESSAGE_TOO_LARGE",
    kind: "fatal",
  });
});

test("without a DLQ topic, a scan finds nothing and a write fails", async () => {
  const { reader, writer } = connect(`${fixture.prefix}.${uniqueName("none")}`);
  expect(await values(reader)).toEqual([]);
  await expect(writer.write(record({}), failure)).rejects.toMatchObject({
    code: "KAFKA_TOPIC_MISSING",
    kind: "retryable",
  });
});

test("a scan ends if the DLQ ends with control records, and skips aborted transactions", async () => {
  const { topic, reader } = await freshQueue();
  await fixture.publish(topic, [{ value: "by the producer" }]);
  await fixture.publish(topic, [{ value: "never" }], "abort");
  expect(await values(reader)).toEqual(["by the producer"]);
});

test("a scan begins at the DLQ's start, which retention has moved", async () => {
  const { topic, reader, writer } = await freshQueue();
  for (const value of ["a", "b", "c"]) await writer.write(record({ value: Buffer.from(value) }), failure);
  await fixture.deleteRecords(topic, 2n);
  expect(await values(reader)).toEqual(["c"]);
});
