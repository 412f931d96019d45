import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { listDeadLetters } from "../../src/consumers/dead-letters/queries.ts";
import { freshCollection } from "./consumer-fixture.ts";
import type { Collection, TestEvent } from "./consumer-fixture.ts";
import { useKafka } from "./kafka/fixture.ts";

const fixture = useKafka();

/** Nothing that PostgreSQL's compression can make shorter. */
function randomKey(length: number): string {
  return randomBytes(length).toString("base64").slice(0, length);
}

function named(id: string, version: number): TestEvent {
  return { id, version, document: { name: "x", price: 1 } };
}

async function openLetters({ deadLetters }: Collection) {
  const letters = await listDeadLetters(deadLetters, {}, { signal: deadLetters.signal });
  return letters.map(({ origin, info }) => ({ offset: origin.offset, code: info.code, sqlstate: info.sqlstate }));
}

test("a key that is too long for the table's index becomes one dead letter, and everything else goes on", async () => {
  const collection = await freshCollection(fixture);
  const tooLong = randomKey(3_000);
  await collection.publish([named("a", 1), named(tooLong, 2), named("b", 3)]);
  await collection.consume();
  await collection.publish([named("c", 4)]);
  await collection.consume();
  expect(Object.keys(await collection.rows())).toEqual(["a", "b", "c"]);
  expect(await openLetters(collection)).toEqual([{ offset: 1n, code: "LIMIT_EXCEEDED", sqlstate: "54000" }]);
});

test("a key that is too long for the table's index can be deleted, and then its dead letter is superseded", async () => {
  const collection = await freshCollection(fixture);
  const tooLong = randomKey(3_000);
  await collection.publish([named(tooLong, 1), { id: tooLong, version: 2 }, named("b", 3)]);
  // One by one: folded, only the delete would be left.
  await collection.consume({ limits: { maxRows: 1, maxBytes: 1_000_000 } });
  expect(Object.keys(await collection.rows())).toEqual(["b"]);
  expect(await openLetters(collection)).toHaveLength(1);
  const { deadLetters, table } = collection;
  const [letter] = await listDeadLetters(deadLetters, {}, { signal: deadLetters.signal });
  const change = {
    op: "d",
    key: tooLong,
    version: 1n,
    children: [],
    cells: null,
    rowSchema: { idType: "string", children: [], columns: [] },
  } as const;
  expect(await deadLetters.sink.replay(letter!.origin, 2, table, change)).toBe("superseded");
});

test("a key just below the limit of the table's index is written, deleted, and not brought back by an older record", async () => {
  const collection = await freshCollection(fixture);
  const long = randomKey(2_680);
  await collection.publish([named(long, 1), named("a", 2)]);
  await collection.consume();
  expect(Object.keys(await collection.rows())).toHaveLength(2);
  await collection.publish([{ id: long, version: 3 }]);
  await collection.consume();
  await collection.publish([named(long, 1)]);
  await collection.consume();
  expect(Object.keys(await collection.rows())).toEqual(["a"]);
  expect(await openLetters(collection)).toEqual([]);
});
