import { describe, expect, test, vi } from "vitest";
import { listDeadLetters } from "../../src/consumers/dead-letters/queries.ts";
import { HeadraceError } from "../../src/errors/error.ts";
import { freshCollection } from "./consumer-fixture.ts";
import type { Collection, TestEvent } from "./consumer-fixture.ts";
import { useKafka } from "./kafka/fixture.ts";
import { until } from "./kafka/reader.ts";

const fixture = useKafka();

const priced = (id: string, version: number, price: number): TestEvent => ({
  id,
  version,
  document: { name: id, price },
});

async function openLetters(collection: Collection) {
  const { signal } = collection.deadLetters;
  const letters = await listDeadLetters(collection.deadLetters, {}, { signal });
  return letters.map(({ info }) => ({
    stage: info.stage,
    code: info.code,
    sqlstate: info.sqlstate,
    offset: info.offset,
  }));
}

async function progressOf({ sink, topic }: Collection, partition = 0) {
  return (await sink.readProgress([{ topic, partition }])).get(`${topic}/${partition}`);
}

/** A table of the user's own, with a rule that some documents break. */
async function createStrictTable({ pool }: Collection): Promise<void> {
  await pool.query(
    "CREATE TABLE products (_id text PRIMARY KEY, _version bigint, name text, price int CHECK (price < 100), _extra jsonb)",
  );
}

test("applies the last change of each key, also where it is a delete", async () => {
  const collection = await freshCollection(fixture, undefined, 3);
  await collection.publish([priced("a", 1, 10), priced("b", 2, 20), priced("c", 3, 30), priced("a", 4, 11)]);
  await collection.publish([{ id: "b", version: 5 }]);
  await collection.consume();
  expect(await collection.rows()).toEqual({
    a: { version: 4, name: "a", price: 11 },
    c: { version: 3, name: "c", price: 30 },
  });
});

test("a truncate in all partitions deletes older rows, and later records that are older change nothing", async () => {
  const collection = await freshCollection(fixture, undefined, 3);
  const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);
  await collection.publish(keys.map((key, index) => priced(key, index + 1, index)));
  await collection.publish([priced("ahead", 51, 1)]);
  await collection.truncate(50);
  await collection.publish([...keys.map((key) => priced(key, 49, 0)), priced("k0", 52, 2)]);
  await collection.consume();
  expect(await collection.rows()).toEqual({
    ahead: { version: 51, name: "ahead", price: 1 },
    k0: { version: 52, name: "k0", price: 2 },
  });
});

describe("records that PostgreSQL refuses", () => {
  test("one in the middle of a batch becomes a dead letter, the others are applied in order, and the progress moves past it", async () => {
    const collection = await freshCollection(fixture);
    await createStrictTable(collection);
    const events = Array.from({ length: 20 }, (_, index) => priced(`k${index % 8}`, index + 1, index));
    events[9] = priced("bad", 10, 500);
    await collection.publish(events);
    await collection.consume();
    const rows = await collection.rows();
    const last = events.slice(-8).map(({ id, version }) => [id, { version, name: id, price: version - 1 }] as const);
    expect(rows).toEqual(Object.fromEntries(last));
    expect(await openLetters(collection)).toEqual([
      { stage: "TASK_PUT", code: "CONSTRAINT_VIOLATED", sqlstate: "23514", offset: 9n },
    ]);
    expect(await progressOf(collection)).toBe(await fixture.endOffset(collection.topic));
  });

  test("a truncate spares the row of a document that could not be applied, and deletes rows without a document", async () => {
    const collection = await freshCollection(fixture, undefined, 2);
    await createStrictTable(collection);
    const { publish, truncate } = collection;
    await publish(["here", "refused", "deleted", "refused before"].map((id) => priced(id, 1, 1)));
    await publish([priced("refused before", 4, 999)]);
    await collection.consume();
    expect(Object.keys(await collection.rows())).toHaveLength(4);
    // As the end of a new snapshot: two documents are still there, one of them refused.
    await publish([priced("here", 7, 2), priced("refused", 7, 999)]);
    await truncate(6);
    await collection.consume();
    expect(Object.entries(await collection.rows()).map(([id, { version }]) => [id, version])).toEqual([
      ["here", 7],
      ["refused", 1],
    ]);

    await truncate(8);
    await collection.consume();
    expect(await collection.rows()).toEqual({});
  });

  test("a record that cannot be decoded becomes a dead letter, and its neighbours are applied", async () => {
    const collection = await freshCollection(fixture);
    await collection.publish([priced("a", 1, 1)]);
    await fixture.publish(collection.topic, [{ key: "?", value: "not Avro" }]);
    await collection.publish([priced("b", 2, 2)]);
    await collection.consume();
    expect(Object.keys(await collection.rows())).toEqual(["a", "b"]);
    expect(await openLetters(collection)).toMatchObject([{ stage: "VALUE_CONVERTER", code: "RECORD_UNDECODABLE" }]);
  });

  test("a violated foreign key is retried until another record satisfies it", async () => {
    const collection = await freshCollection(fixture);
    const { pool } = collection;
    await pool.query("CREATE TABLE makers (name text PRIMARY KEY)");
    await pool.query(
      "CREATE TABLE products (_id text PRIMARY KEY, _version bigint, name text REFERENCES makers, price int, _extra jsonb)",
    );
    await collection.publish([priced("a", 1, 1), priced("b", 2, 2)]);
    const consumer = collection.start({
      patience: { constraintPatienceMs: 60_000, schemaPatienceMs: 0, passingPatienceMs: 0 },
    });
    await until(() => expect(consumer.lines.map(({ message }) => message)).toContain("trying again"));
    await pool.query("INSERT INTO makers VALUES ('a'), ('b')");
    await until(async () => expect(Object.keys(await collection.rows())).toEqual(["a", "b"]));
    expect(await openLetters(collection)).toEqual([]);
  });

  test("a foreign key that stays violated becomes a dead letter when the patience ends", async () => {
    const collection = await freshCollection(fixture);
    const { pool } = collection;
    await pool.query("CREATE TABLE makers (name text PRIMARY KEY)");
    await pool.query("INSERT INTO makers VALUES ('a'), ('c')");
    await pool.query(
      "CREATE TABLE products (_id text PRIMARY KEY, _version bigint, name text REFERENCES makers, price int, _extra jsonb)",
    );
    await collection.publish([priced("a", 1, 1), priced("b", 2, 2), priced("c", 3, 3)]);
    await collection.consume({ patience: { constraintPatienceMs: 300, schemaPatienceMs: 0, passingPatienceMs: 0 } });
    expect(Object.keys(await collection.rows())).toEqual(["a", "c"]);
    expect(await openLetters(collection)).toMatchObject([{ sqlstate: "23503", offset: 1n }]);
  });

  test("too many dead letters stop the consumer before it passes the whole topic", async () => {
    const collection = await freshCollection(fixture);
    await createStrictTable(collection);
    await collection.publish(Array.from({ length: 30 }, (_, index) => priced(`k${index}`, index + 1, 500)));
    const consumer = collection.start({ deadLetterLimits: { max: 3, records: 100 } });
    await expect(consumer.running).rejects.toMatchObject({ code: "DEAD_LETTER_WINDOW", kind: "fatal" });
    expect(await openLetters(collection)).toHaveLength(3);
    expect(await progressOf(collection)).toBe(3n);
  });
});

describe("the consumer stops at", () => {
  test("a schema id that stays unknown", async () => {
    const collection = await freshCollection(fixture);
    await collection.publish([priced("a", 1, 1)]);
    const value = Buffer.alloc(20);
    value.writeInt32BE(2_000_000_000, 1);
    await fixture.publish(collection.topic, [{ key: value, value }]);
    const consumer = collection.start({ limits: { maxRows: 1, maxBytes: 1_000 } });
    await expect(consumer.running).rejects.toMatchObject({ code: "SCHEMA_UNKNOWN", kind: "fatal" });
    expect(Object.keys(await collection.rows())).toEqual(["a"]);
    // At the unknown record, past the control record before it.
    expect(await progressOf(collection)).toBe(2n);
  });

  test("a bug while it applies a batch, with nothing committed", async () => {
    const collection = await freshCollection(fixture);
    await collection.publish([priced("a", 1, 1)]);
    const bug = new TypeError("x is not a function");
    const { sink } = collection;
    const consumer = collection.start({
      sink: {
        readProgress: (partitions) => sink.readProgress(partitions),
        replay: (...replay) => sink.replay(...replay),
        apply: () => Promise.reject(bug),
        skip: () => Promise.reject(bug),
      },
    });
    await expect(consumer.running).rejects.toBe(bug);
    expect(await progressOf(collection)).toBe(0n);
  });

  test("the error of the target that it waits for", async () => {
    const collection = await freshCollection(fixture);
    const failed = new Error("the producer failed");
    await expect(collection.start({ until: Promise.reject(failed) }).running).rejects.toBe(failed);
  });
});

describe("records that Kafka deleted before they were applied", () => {
  async function loseRecords(): Promise<Collection> {
    const collection = await freshCollection(fixture);
    await collection.publish([priced("a", 1, 1)]);
    await collection.consume();
    await collection.publish([priced("b", 2, 2)]);
    await collection.publish([priced("c", 3, 3)]);
    await fixture.deleteRecords(collection.topic, 4n);
    return collection;
  }

  test("stop the consumer, and the progress does not move", async () => {
    const collection = await loseRecords();
    await expect(collection.consume()).rejects.toMatchObject({ code: "HISTORY_LOST_IN_KAFKA", kind: "fatal" });
    expect(await progressOf(collection)).toBe(2n);
  });

  test("are requested again, and the progress moves to the log's start once Kafka has stored the request", async () => {
    const collection = await loseRecords();
    const asked: string[] = [];
    const requestResync = async (topic: string): Promise<void> => {
      expect(await progressOf(collection)).toBe(2n);
      asked.push(topic);
      if (asked.length === 1) throw new HeadraceError("KAFKA_UNAVAILABLE", { message: "not acknowledged" });
    };
    const historyLost = vi.fn();
    await collection.consume({ requestResync, observer: { applied() {}, deadLettered() {}, historyLost } });
    expect(asked).toEqual([collection.topic, collection.topic]);
    expect(historyLost.mock.calls).toEqual([[collection.topic]]);
    expect(Object.keys(await collection.rows())).toEqual(["a", "c"]);
  });
});

describe("restarts", () => {
  test("continue at the stored progress even without the group's committed offsets", async () => {
    const collection = await freshCollection(fixture);
    await collection.publish([priced("a", 1, 1)]);
    await collection.consume();
    await until(() => fixture.admin.deleteGroups([`${collection.pipeline}.consumer`]));
    await collection.publish([priced("b", 2, 2)]);
    const applied: number[] = [];
    await collection.consume({
      observer: { applied: (_, records) => applied.push(records), deadLettered() {}, historyLost() {} },
    });
    expect(Object.keys(await collection.rows())).toEqual(["a", "b"]);
    expect(applied.reduce((sum, records) => sum + records, 0)).toBe(1);
  });

  test("apply lost records again after PostgreSQL was restored from an older backup, also while running", async () => {
    const collection = await freshCollection(fixture);
    const { pool, schema, topic } = collection;
    const setBack = () =>
      pool.query(
        `WITH gone AS (DELETE FROM products WHERE _id <> 'a') UPDATE ${schema}.progress SET next_offset = 1 WHERE topic = $1`,
        [topic],
      );
    await collection.publish([priced("a", 1, 1), priced("b", 2, 2)]);
    await collection.consume();
    await setBack();
    await collection.publish([priced("c", 3, 3)]);
    await collection.consume();
    expect(Object.keys(await collection.rows())).toEqual(["a", "b", "c"]);

    const consumer = collection.start();
    await until(() => expect(consumer.lines.map(({ message }) => message)).toContain("partitions assigned"));
    await setBack();
    await collection.publish([priced("d", 4, 4)]);
    await until(async () => expect(Object.keys(await collection.rows())).toEqual(["a", "b", "c", "d"]));
  });

  test("lose nothing, whenever they happen", async () => {
    const collection = await freshCollection(fixture, undefined, 3);
    const events = Array.from({ length: 400 }, (_, index) => priced(`k${index % 60}`, index + 1, index));
    for (let start = 0; start < events.length; start += 50) {
      const consumer = collection.start({ limits: { maxRows: 7, maxBytes: 100_000 } });
      await collection.publish(events.slice(start, start + 50));
      await consumer.stop();
    }
    await collection.consume();
    const rows = await collection.rows();
    expect(rows).toEqual(
      Object.fromEntries(events.slice(-60).map(({ id, version }) => [id, { version, name: id, price: version - 1 }])),
    );
  });
});
