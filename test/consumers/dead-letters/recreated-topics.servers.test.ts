// A topic that is created again has the offsets of the one before: its dead letters are others.
import { expect, test } from "vitest";
import {
  discardDeadLetters,
  listKeptLetters,
  listKeyedDeadLetters,
  showDeadLetter,
} from "../../../src/consumers/dead-letters/queries.ts";
import type { DeadLetterFilter } from "../../../src/consumers/dead-letters/queries.ts";
import { replayDeadLetters } from "../../../src/consumers/dead-letters/replay.ts";
import { deleteRecordsBefore } from "../../../src/kafka/admin.ts";
import { fetchTopicIds } from "../../../src/kafka/topic-ids.ts";
import { freshCollection } from "../consumer-fixture.ts";
import { useKafka } from "../kafka/fixture.ts";

const fixture = useKafka();

/** A collection whose table refuses every price, and the means to create its topic again. */
async function refusedCollection() {
  const collection = await freshCollection(fixture);
  const { pool, topic, deadLetters } = collection;
  await pool.query(
    `CREATE TABLE products (_id text PRIMARY KEY, _version bigint, name text,
      price int CONSTRAINT cheap CHECK (price < 100), _extra jsonb)`,
  );
  const topicId = async () => (await fetchTopicIds(fixture.kafka, [topic])).get(topic)!;
  return {
    ...collection,
    topicId,
    fail: async (...ids: string[]) => {
      await collection.publish(ids.map((id) => ({ id, version: 1, document: { name: id, price: 500 } })));
      await collection.consume();
    },
    /** @returns what the ids of the former topic's dead letters end with */
    recreate: async () => {
      const former = await topicId();
      await fixture.admin.deleteTopics({ topics: [topic] });
      await expect.poll(() => fixture.admin.listTopics()).not.toContain(topic);
      await fixture.createTopic(topic);
      await expect.poll(topicId).not.toBe(former);
      await pool.query("DELETE FROM progress");
      return former.slice(0, 8);
    },
    open: async () => (await listKeyedDeadLetters(deadLetters, {}, deadLetters)).map(({ id, key }) => [id, key]),
    replay: (filter: DeadLetterFilter = {}) => replayDeadLetters({ ...deadLetters, filter }),
    discard: async (filter: DeadLetterFilter = {}) =>
      (await discardDeadLetters(deadLetters, filter, deadLetters)).map(({ id }) => id),
  };
}

test("a dead letter of a topic that was created again is not hidden by an older one with more attempts", async () => {
  const { topic, pool, fail, recreate, open, replay, rows } = await refusedCollection();
  await fail("old");
  expect(await replay()).toMatchObject({ failed: 1 });
  expect(await open()).toEqual([[`${topic}/0/0`, "old"]]);
  const former = await recreate();
  await fail("new");
  expect(await open()).toEqual([
    [`${topic}/0/0@${former}`, "old"],
    [`${topic}/0/0`, "new"],
  ]);
  await pool.query("ALTER TABLE products DROP CONSTRAINT cheap");
  expect(await replay()).toMatchObject({ replayed: 2 });
  expect(Object.keys(await rows())).toEqual(["new", "old"]);
  expect(await open()).toEqual([]);
  expect(await replay()).toMatchObject({ replayed: 0, superseded: 0 });
});

test("discarded dead letters of both incarnations stay closed", async () => {
  const { topic, fail, recreate, open, discard } = await refusedCollection();
  await fail("a", "b");
  const former = await recreate();
  await fail("c", "d", "e");
  // The offset 2 is that of the first transaction's marker.
  const ids = ["0/0", "0/1"].map((place) => `${topic}/${place}@${former}`);
  const own = ["0/0", "0/1", "0/2"].map((place) => `${topic}/${place}`);
  expect(await discard()).toEqual([...ids, ...own]);
  expect(await open()).toEqual([]);
  expect(await discard()).toEqual([]);
});

test("each id names one dead letter, with the failures of that one", async () => {
  const { topic, pool, fail, recreate, open, replay, discard, deadLetters, rows } = await refusedCollection();
  await fail("old");
  expect(await replay()).toMatchObject({ failed: 1 });
  const former = await recreate();
  await fail("new");
  const [earlier, own] = [`${topic}/0/0@${former}`, `${topic}/0/0`];
  const shown = async (id: string) => {
    const details = await showDeadLetter(deadLetters, id, deadLetters);
    return (
      details && [
        await deadLetters.keyOf(details.record),
        details.history.map(({ attempts }) => attempts),
        details.outcome,
      ]
    );
  };
  expect(await shown(earlier)).toEqual(["old", [1, 2], null]);
  expect(await shown(own)).toEqual(["new", [1], null]);
  expect(await shown(`${topic}/0/0@00000000`)).toBeNull();
  expect(await discard({ ids: [own] })).toEqual([own]);
  expect(await open()).toEqual([[earlier, "old"]]);
  expect(await shown(own)).toEqual(["new", [1], "discarded"]);
  await pool.query("ALTER TABLE products DROP CONSTRAINT cheap");
  expect(await replay({ ids: [earlier] })).toMatchObject({ replayed: 1 });
  expect(await shown(earlier)).toEqual(["old", [1, 2], "replayed"]);
  expect(await shown(own)).toEqual(["new", [1], "discarded"]);
  expect(Object.keys(await rows())).toEqual(["old"]);
});

test("the kept keys of both incarnations are named apart when Kafka has neither record", async () => {
  const { topic, fail, recreate, open, discard, deadLetters } = await refusedCollection();
  await fail("old");
  const former = await recreate();
  await fail("new");
  const keep = await listKeptLetters(deadLetters, deadLetters);
  await deadLetters.archive.keep(keep.open);
  await deleteRecordsBefore(fixture.kafka, keep.open[0]!.record.topic, await deadLetters.reader.end());
  expect(await open()).toEqual([
    [`${topic}/0/0@${former}`, "old"],
    [`${topic}/0/0`, "new"],
  ]);
  expect(await showDeadLetter(deadLetters, `${topic}/0/0@${former}`, deadLetters)).toMatchObject({
    letter: { isGone: true },
    history: [{ attempts: 1 }],
  });
  expect(await discard({ ids: [`${topic}/0/0@${former}`] })).toHaveLength(1);
  expect(await open()).toEqual([[`${topic}/0/0`, "new"]]);
});
