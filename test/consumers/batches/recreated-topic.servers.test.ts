import { expect, test } from "vitest";
import { lostRecords } from "../../../src/consumers/batches/log-bounds.ts";
import { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import type { HeadraceError } from "../../../src/errors/error.ts";
import { uniqueName } from "../../support/servers.ts";
import { onePartition, openClient } from "../postgres/fixture.ts";

test("the remedy of TOPIC_RECREATED starts the partition at the log's start, with no dead letter closed", async () => {
  const sink = new PostgresSink(openClient(), { partitionsOf: onePartition });
  const topic = uniqueName("it's recreated");
  const [partition, other] = [
    { topic, partition: 0 },
    { topic, partition: 1 },
  ];
  const table = { schema: "public", table: "products" };
  await sink.readProgress([partition, other]);
  for (const each of [partition, other]) {
    await sink.apply({ ...each, table, expectedOffset: 0n, nextOffset: 9n, changes: [] });
    await sink.close({ ...each, offset: 5n }, 1, "discarded", table);
  }
  let remedy = "";
  try {
    lostRecords(partition, 9n, { low: 2n, high: 7n });
  } catch (error) {
    ({ remedy } = error as HeadraceError);
  }
  await openClient().run({ text: /BEGIN;.*COMMIT;/.exec(remedy)?.[0] ?? "" });
  expect(Object.fromEntries(await sink.readProgress([partition, other]))).toEqual({
    [`${topic}/0`]: 2n,
    [`${topic}/1`]: 9n,
  });
  const outcomes = await sink.outcomesOf([partition, other].map((each) => ({ ...each, offset: 5n })));
  expect([...outcomes.keys()]).toEqual([`${topic}/1/5`]);
});
