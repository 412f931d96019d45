import { expect, test } from "vitest";
import { watchPosition } from "../../src/operations/position-watch.ts";
import type { Position } from "../../src/schemas/change-event.ts";
import { encodePosition, POSITION_KEY } from "../../src/schemas/position.ts";
import { positionsTopic } from "../../src/schemas/topics.ts";
import { connectKafka } from "../consumers/kafka/fixture.ts";
import { uniqueName } from "../support/servers.ts";

const at = (clusterTime: bigint): Position => ({
  resumeToken: null,
  clusterTime,
  cluster: "rs0",
  horizon: 0n,
  snapshots: new Map(),
  signals: { offset: 0n, after: null },
});

test("finds the last committed position behind markers, open and aborted transactions, and follows it", async () => {
  const kafka = connectKafka();
  const name = uniqueName("watch");
  const topic = positionsTopic(name);
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, transactionalId: name });
  await producer.connect();
  const write = async (key: string, value: string) => {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ key, value }] });
    return transaction;
  };
  const empty = await watchPosition(kafka, name);
  try {
    expect(await empty.latest()).toBeNull();

    await (await write(POSITION_KEY, encodePosition(at(1n)))).commit();
    await (await write(POSITION_KEY, encodePosition(at(2n)))).commit();
    await (await write(POSITION_KEY, encodePosition(at(3n)))).abort();
    await (await write("marker", "{}")).commit();
    const open = await write(POSITION_KEY, encodePosition(at(4n)));

    const watch = await watchPosition(kafka, name);
    try {
      expect(await watch.latest()).toEqual(at(2n));
      await open.commit();
      await expect.poll(() => watch.latest()).toEqual(at(4n));
      expect(await watch.latestSettled()).toEqual(at(2n));
      await (await write("marker", "{}")).commit();
      await expect.poll(() => watch.latestSettled()).toEqual(at(4n));
      expect(await watch.latest()).toEqual(at(4n));
      await expect.poll(() => empty.latest()).toEqual(at(4n));
    } finally {
      await watch.close();
    }
  } finally {
    await empty.close();
    await producer.disconnect();
    await admin.deleteTopics({ topics: [topic] });
    await admin.disconnect();
  }
});

test("finds a position while newer ones are written without a pause", async () => {
  const kafka = connectKafka();
  const name = uniqueName("watch");
  const topic = positionsTopic(name);
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
  const producer = kafka.producer();
  await producer.connect();
  const seen = new AbortController();
  const writing = (async () => {
    for (let time = 1n; !seen.signal.aborted; time++) {
      await producer.send({ topic, messages: [{ key: POSITION_KEY, value: encodePosition(at(time)) }] });
    }
  })();
  const watch = await watchPosition(kafka, name);
  try {
    expect((await watch.latest())?.clusterTime).toBeGreaterThan(0n);
  } finally {
    seen.abort();
    await writing;
    await watch.close();
    await producer.disconnect();
    await admin.deleteTopics({ topics: [topic] });
    await admin.disconnect();
  }
});
