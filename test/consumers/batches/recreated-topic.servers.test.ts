import { expect, test } from "vitest";
import { lostRecords } from "../../../src/consumers/batches/log-bounds.ts";
import { identityOf } from "../../../src/consumers/ports.ts";
import { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import type { HeadraceError } from "../../../src/errors/error.ts";
import type { TopicPartition } from "../../../src/schemas/partitions.ts";
import { uniqueName } from "../../support/servers.ts";
import { onePartition, openClient } from "../postgres/fixture.ts";

interface Closed {
  readonly partition: TopicPartition;
  readonly offset: bigint;
  readonly topicId: string | null;
}

/** Runs the printed remedy of a partition that was applied up to 9. @returns those that are still closed */
async function afterRemedy(topicId: string | null, closedOf: (topic: string) => readonly Closed[]): Promise<string[]> {
  const sink = new PostgresSink(openClient(), { partitionsOf: onePartition });
  const topic = uniqueName("it's recreated");
  const partitions = [0, 1].map((partition) => ({ topic, partition }));
  const table = { schema: "public", table: "products" };
  await sink.readProgress(partitions);
  for (const each of partitions) await sink.apply({ ...each, table, expectedOffset: 0n, nextOffset: 9n, changes: [] });
  const origins = closedOf(topic).map(({ partition, ...letter }) => ({ ...partition, ...letter }));
  for (const origin of origins) await sink.close(origin, 1, "discarded", table);
  let remedy = "";
  try {
    lostRecords({ topic, partition: 0 }, 9n, { low: 2n, high: 7n }, topicId);
  } catch (error) {
    ({ remedy } = error as HeadraceError);
  }
  await openClient().run({ text: /BEGIN;.*COMMIT;/.exec(remedy)?.[0] ?? "" });
  expect(Object.fromEntries(await sink.readProgress(partitions))).toEqual({ [`${topic}/0`]: 2n, [`${topic}/1`]: 9n });
  const outcomes = await sink.outcomesOf(origins);
  return origins
    .filter((origin) => outcomes.has(identityOf(origin)))
    .map(({ partition, offset, topicId: id }) => `${partition}/${offset} of ${id}`);
}

test("the remedy of TOPIC_RECREATED starts the partition at the log's start, with no dead letter closed", async () => {
  const stillClosed = await afterRemedy(null, (topic) => [
    { partition: { topic, partition: 0 }, offset: 5n, topicId: null },
    { partition: { topic, partition: 1 }, offset: 5n, topicId: null },
    { partition: { topic, partition: 0 }, offset: 5n, topicId: "earlier" },
  ]);
  expect(stillClosed).toEqual(["1/5 of null", "0/5 of earlier"]);
});

test("the remedy for a topic that has lost records reopens only dead letters whose offsets new records will get", async () => {
  const stillClosed = await afterRemedy("now", (topic) => [
    { partition: { topic, partition: 0 }, offset: 8n, topicId: "now" },
    { partition: { topic, partition: 0 }, offset: 6n, topicId: "now" },
    { partition: { topic, partition: 1 }, offset: 8n, topicId: "now" },
    { partition: { topic, partition: 0 }, offset: 8n, topicId: "earlier" },
    { partition: { topic, partition: 0 }, offset: 8n, topicId: null },
  ]);
  expect(stillClosed).toEqual(["0/6 of now", "1/8 of now", "0/8 of earlier", "0/8 of null"]);
});
