import { expect, test } from "vitest";
import { topicOf } from "../../src/schemas/topics.ts";
import { readTopic } from "./kafka/pipeline-topics.ts";
import { ProducerUnderTest } from "./producer-under-test.ts";

interface Source {
  readonly snapshot: string;
  readonly cluster_time: bigint;
  readonly ts_ms: bigint;
  readonly ts_us: bigint;
  readonly ord: bigint;
}

/** The sources of a collection's records, in no order between partitions. */
async function sourcesOf({ name, db, registry }: ProducerUnderTest, collection: string): Promise<readonly Source[]> {
  const records = await readTopic(topicOf(name, db.databaseName, collection));
  const values = records.flatMap(({ value }) => (value === null ? [] : [value]));
  return Promise.all(
    values.map(async (value) => {
      const { type } = await registry.schema(value.readInt32BE(1));
      return (type.fromBuffer(value.subarray(5)) as { readonly source: Source }).source;
    }),
  );
}

test("records say the microseconds and the order of their time, and where a snapshot ends", async () => {
  const producer = await ProducerUnderTest.create();
  const { client, db } = producer;
  const snapshot = { mode: "initial", chunkDocuments: 100 } as const;
  await db.collection<{ _id: number }>("one").insertMany(Array.from({ length: 250 }, (_, _id) => ({ _id })));
  await db.collection<{ _id: number }>("two").insertMany([{ _id: 1 }, { _id: 2 }]);
  await producer.runOnce({ snapshot });
  const marks = (sources: readonly Source[]) => sources.map((source) => source.snapshot).toSorted();
  const [one, two] = [await sourcesOf(producer, "one"), await sourcesOf(producer, "two")];
  const [first, second] = marks(one).includes("last") ? [two, one] : [one, two];
  expect(marks(first)).toEqual(["last_in_data_collection", ...Array<string>(first.length - 1).fill("true")]);
  expect(marks(second)).toEqual(["last", ...Array<string>(second.length - 1).fill("true")]);

  await client.withSession((session) =>
    session.withTransaction(async () => {
      await db.collection<{ _id: number }>("two").insertOne({ _id: 3 }, { session });
      await db.collection<{ _id: number }>("two").insertOne({ _id: 4 }, { session });
    }),
  );
  await producer.runOnce({ snapshot });
  const all = await sourcesOf(producer, "two");
  const changes = all.filter((source) => source.snapshot === "false");
  expect(new Set(changes.map(({ ord }) => ord)).size).toBe(1);
  expect(changes).toHaveLength(2);
  for (const { cluster_time: time, ts_ms, ts_us, ord } of all) {
    expect({ ts_ms, ts_us, ord }).toEqual({
      ts_ms: (time >> 32n) * 1_000n,
      ts_us: (time >> 32n) * 1_000_000n,
      ord: BigInt.asUintN(32, time),
    });
  }
});
