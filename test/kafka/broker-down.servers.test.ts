// One of three brokers is gone, and the others do not know it yet: Kafka waits 9 s for a sign of life
// (broker.session.timeout.ms), and until then names the lost broker as controller, as coordinator and as leader.
import { logLevel } from "kafkajs";
import { expect, test } from "vitest";
import { withAdmin } from "../../src/kafka/admin.ts";
import { newKafka } from "../../src/kafka/client.ts";
import { missingRights } from "../../src/kafka/rights.ts";
import type { KafkaRight } from "../../src/kafka/rights.ts";
import { readTopicConfigs } from "../../src/kafka/topic-configs.ts";
import { fetchEndOffsets, fetchLogBounds } from "../../src/kafka/topics.ts";
import { useKafkaCluster } from "../support/own-kafka.ts";

const cluster = useKafkaCluster();

test("questions are answered in the seconds in which Kafka still counts a lost broker as alive", async () => {
  const kafka = newKafka({ brokers: [...cluster.brokers], logLevel: logLevel.NOTHING });
  const topics = [{ topic: "things", numPartitions: 6, replicationFactor: 3 }];
  await withAdmin(kafka, "creating a topic", (admin) => admin.createTopics({ topics, waitForLeaders: false }));
  await expect.poll(async () => (await fetchLogBounds(kafka, ["things"])).size, { timeout: 30_000 }).toBe(6);
  const rights = Array.from({ length: 8 }, (_, index): readonly KafkaRight[] => [
    { resource: "group", name: `group-${index}`, operation: "Read" },
    { resource: "transactional-id", name: `producer-${index}`, operation: "Write" },
  ]);
  // The groups' and the transactions' topics are made at the first question about one.
  expect(await missingRights(kafka, rights.flat())).toEqual([]);
  await cluster.crashLast();
  const settings = async (): Promise<string | undefined> =>
    withAdmin(kafka, "reading the topic's settings", async (admin) =>
      (await readTopicConfigs(admin, ["things"], ["cleanup.policy"])).get("things")?.get("cleanup.policy"),
    );
  const [bounds, ends, asked, missing] = await Promise.all([
    Promise.all(Array.from({ length: 6 }, () => fetchLogBounds(kafka, ["things"]))),
    Promise.all(Array.from({ length: 6 }, () => fetchEndOffsets(kafka, ["things"]))),
    Promise.all(Array.from({ length: 12 }, settings)),
    Promise.all(rights.map((each) => missingRights(kafka, each))),
  ]);
  expect(asked).toEqual(asked.map(() => "delete"));
  expect(missing.flat()).toEqual([]);
  expect(bounds.map(({ size }) => size)).toEqual([6, 6, 6, 6, 6, 6]);
  expect(ends.map(({ length }) => length)).toEqual([6, 6, 6, 6, 6, 6]);
});
