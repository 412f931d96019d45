import { expect, test } from "vitest";
import { listDeadLetters, showDeadLetter } from "../../../src/consumers/dead-letters/queries.ts";
import type { DeadLetterFilter } from "../../../src/consumers/dead-letters/queries.ts";
import { replayDeadLetters } from "../../../src/consumers/dead-letters/replay.ts";
import { freshCollection } from "../consumer-fixture.ts";
import type { Collection, TestEvent } from "../consumer-fixture.ts";
import { useKafka } from "../kafka/fixture.ts";

const fixture = useKafka();

const priced = (id: string, version: number, price: number): TestEvent => ({
  id,
  version,
  document: { name: id, price },
});

/** A collection whose table refuses high prices, with the events consumed. */
async function consumed(events: readonly TestEvent[]): Promise<Collection> {
  const collection = await freshCollection(fixture);
  await collection.pool.query(
    `CREATE TABLE products (_id text PRIMARY KEY, _version bigint, name text,
      price int CONSTRAINT cheap CHECK (price < 100), _extra jsonb)`,
  );
  await collection.publish(events);
  await collection.consume({ limits: { maxRows: 1, maxBytes: 1_000_000 } });
  return collection;
}

const mend = ({ pool }: Collection) => pool.query("ALTER TABLE products DROP CONSTRAINT cheap");
const replay = ({ deadLetters }: Collection, filter: DeadLetterFilter = {}) =>
  replayDeadLetters({ ...deadLetters, filter });
const list = ({ deadLetters }: Collection, filter: DeadLetterFilter = {}) =>
  listDeadLetters(deadLetters, filter, deadLetters);

const NOTHING = { replayed: 0, superseded: 0, failed: 0, needsSnapshot: 0, unknownTopic: 0 };

test("a dead letter is applied and closed after the table was corrected", async () => {
  const collection = await consumed([priced("a", 1, 500), priced("b", 2, 20)]);
  expect(Object.keys(await collection.rows())).toEqual(["b"]);
  const [letter] = await list(collection);
  await mend(collection);
  expect(await replay(collection)).toEqual({ ...NOTHING, replayed: 1 });
  expect(await collection.rows()).toEqual({
    a: { version: 1, name: "a", price: 500 },
    b: { version: 2, name: "b", price: 20 },
  });
  expect(await list(collection)).toEqual([]);
  expect(await replay(collection)).toEqual(NOTHING);
  const { deadLetters } = collection;
  expect(await showDeadLetter(deadLetters, letter?.id ?? "", deadLetters)).toMatchObject({ outcome: "replayed" });
});

test("a dead letter that fails again stays open with one more attempt", async () => {
  const collection = await consumed([priced("a", 1, 500)]);
  expect(await replay(collection)).toEqual({ ...NOTHING, failed: 1 });
  expect(await replay(collection)).toEqual({ ...NOTHING, failed: 1 });
  expect(await list(collection)).toMatchObject([{ attempts: 3, info: { sqlstate: "23514", offset: 0n } }]);
  await mend(collection);
  expect(await replay(collection)).toEqual({ ...NOTHING, replayed: 1 });
  expect(await collection.rows()).toEqual({ a: { version: 1, name: "a", price: 500 } });
});

test("an old dead letter does not overwrite a newer row", async () => {
  const collection = await consumed([priced("a", 1, 500), priced("a", 2, 20)]);
  await mend(collection);
  expect(await replay(collection)).toEqual({ ...NOTHING, superseded: 1 });
  expect(await collection.rows()).toEqual({ a: { version: 2, name: "a", price: 20 } });
  expect(await list(collection)).toEqual([]);
});

test("an old dead letter does not bring a deleted row back", async () => {
  const collection = await consumed([priced("a", 1, 500), { id: "a", version: 2 }]);
  await mend(collection);
  expect(await replay(collection)).toEqual({ ...NOTHING, superseded: 1 });
  expect(await collection.rows()).toEqual({});
});

test("several dead letters of one key result in its newest state", async () => {
  const collection = await consumed([priced("a", 1, 500), priced("a", 2, 600), priced("b", 3, 700)]);
  await mend(collection);
  expect(await replay(collection, { key: "a" })).toEqual({ ...NOTHING, replayed: 2 });
  expect(await collection.rows()).toEqual({ a: { version: 2, name: "a", price: 600 } });
  expect(await list(collection)).toMatchObject([{ info: { offset: 2n } }]);
});

test("a dead letter of the producer, which has only a key, is counted and stays open", async () => {
  const collection = await consumed([]);
  const { deadLetters, pipeline, topic } = collection;
  await fixture.publish(`${pipeline}.dlq`, [
    { key: null, value: null, headers: { "__connect.errors.topic": topic, "headrace.key": "17" } },
  ]);
  expect(await replay(collection)).toEqual({ ...NOTHING, needsSnapshot: 1 });
  expect(await listDeadLetters(deadLetters, { key: "17" }, deadLetters)).toMatchObject([{ needsSnapshot: true }]);
});
