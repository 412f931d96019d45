import { expect, test } from "vitest";
import { deadLetterTopic } from "../../src/schemas/topics.ts";
import { readTopic } from "./kafka/pipeline-topics.ts";
import { ProducerUnderTest, onlyThese } from "./producer-under-test.ts";

interface Item {
  _id: number | string;
}

const INTEGER_IDS = onlyThese([
  { collection: "items", mode: "document", columns: [], children: [], idType: "integer" },
]);

/** Documents whose `_id` is no integer. */
function misfits(count: number): Item[] {
  return Array.from({ length: count }, (_, index) => ({ _id: `misfit ${index}` }));
}

test("more misfits than the window allows end the producer before they are published; nothing is lost", async () => {
  const producer = await ProducerUnderTest.create();
  const items = producer.db.collection<Item>("items");
  await items.insertOne({ _id: 1 });
  await producer.runOnce({ ...INTEGER_IDS });
  await items.insertMany([...misfits(11), { _id: 2 }]);
  const narrow = { ...INTEGER_IDS, deadLetterLimits: { max: 10, records: 1_000 } };
  await expect(producer.runOnce(narrow)).rejects.toMatchObject({
    code: "DEAD_LETTER_WINDOW",
    message: "More than 10 of the last 1000 documents could not be encoded.",
    cause: { code: "ID_TYPE_MISMATCH" },
  });
  expect(await readTopic(deadLetterTopic(producer.name))).toEqual([]);
  await producer.runOnce({ ...narrow, deadLetterLimits: { max: 11, records: 1_000 } });
  expect(await readTopic(deadLetterTopic(producer.name))).toHaveLength(11);
  expect(await producer.changes("items")).toHaveLength(2);
});

test("the window counts over many batches", async () => {
  const producer = await ProducerUnderTest.create();
  const items = producer.db.collection<Item>("items");
  await items.insertOne({ _id: 1 });
  const running = producer.start({ ...INTEGER_IDS, deadLetterLimits: { max: 3, records: 1_000 } });
  for (const misfit of misfits(3)) {
    const before = (await readTopic(deadLetterTopic(producer.name))).length;
    await items.insertOne(misfit);
    const letters = () => readTopic(deadLetterTopic(producer.name));
    await expect.poll(letters, { timeout: 60_000 }).toHaveLength(before + 1);
  }
  await items.insertOne({ _id: "one too many" });
  await expect(running.done).rejects.toMatchObject({ code: "DEAD_LETTER_WINDOW" });
  expect(await readTopic(deadLetterTopic(producer.name))).toHaveLength(3);
});

test("a thousand misfits of one kind are one warning with their number", async () => {
  const producer = await ProducerUnderTest.create();
  await producer.db.collection<Item>("items").insertMany([{ _id: 1 }, ...misfits(1_000)]);
  const warnings: unknown[] = [];
  const warn = (fields: object) => void warnings.push(fields);
  await producer.runOnce({
    ...INTEGER_IDS,
    deadLetterLimits: { max: 1_000, records: 10_000 },
    logger: { debug() {}, info() {}, warn, error() {} },
  });
  expect(warnings).toEqual([{ failures: { "items: ID_TYPE_MISMATCH": 1_000 } }]);
});
