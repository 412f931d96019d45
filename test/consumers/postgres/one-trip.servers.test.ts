// A batch is applied in one round trip while nothing but the progress changes; whatever does change is noticed all the same.
import { expect, test, vi } from "vitest";
import type { MicroBatch, TableName } from "../../../src/consumers/ports.ts";
import { PostgresClient } from "../../../src/consumers/postgres/client.ts";
import type { PostgresSink } from "../../../src/consumers/postgres/sink.ts";
import type { Change } from "../../../src/schemas/row-schema.ts";
import { batchAt, deletion, freshSink, truncate, upsert } from "./fixture.ts";
import type { SinkFixture } from "./fixture.ts";

interface Filled extends SinkFixture {
  readonly table: TableName;
  /** The next offset. */
  at: number;
}

/** A sink that knows its partition: it has applied a batch. */
async function filled(): Promise<Filled> {
  const fixture = await freshSink();
  const table = { schema: fixture.schema, table: "mine" };
  await fixture.sink.readProgress([0, 1].map((partition) => ({ topic: "t", partition })));
  expect(await fixture.sink.apply(batchAt(0, table, [upsert("a", 1, "1")]))).toBe("applied");
  return { ...fixture, table, at: 1 };
}

function next(fixture: Filled, changes: readonly Change[]): MicroBatch {
  const batch = batchAt(fixture.at, fixture.table, changes);
  fixture.at = Number(batch.nextOffset);
  return batch;
}

/** How often the work sends something to PostgreSQL and waits for the answer. */
async function roundTrips(work: () => Promise<unknown>): Promise<number> {
  let trips = 0;
  // eslint-disable-next-line typescript/unbound-method
  const { session } = PostgresClient.prototype;
  const spy = vi.spyOn(PostgresClient.prototype, "session").mockImplementation(async function (
    this: PostgresClient,
    inSession,
    options,
  ) {
    const counted: Parameters<typeof session>[0] = (connection) =>
      inSession({
        run: (...queries) => (trips++, connection.run(...queries)),
        commit: (...queries) => (trips++, connection.commit(...queries)),
        transact: (queries) => (trips++, connection.transact(queries)),
      });
    return await session.call(this, counted, options);
  });
  try {
    await work();
  } finally {
    spy.mockRestore();
  }
  return trips;
}

const rowsOf = async ({ pool }: SinkFixture) => (await pool.query("SELECT _id, value FROM mine ORDER BY _id")).rows;

test("after its first batch, a partition's batches take one round trip each", async () => {
  const fixture = await filled();
  const { sink } = fixture;
  expect(await roundTrips(() => sink.apply(next(fixture, [upsert("a", 2, "2"), upsert("b", 2, "2")])))).toBe(1);
  expect(await roundTrips(() => sink.apply(next(fixture, [deletion("a", 3)])))).toBe(1);
  expect(await rowsOf(fixture)).toEqual([{ _id: "b", value: "2" }]);
});

const CHANGES: readonly (readonly [string, (fixture: Filled, other: PostgresSink) => Promise<unknown>])[] = [
  [
    "the table gets its first tombstone by another partition",
    ({ table }, other) => other.apply(batchAt(0, table, [deletion("b", 9)], 1)),
  ],
  ["the partition gets a floor", (fixture, other) => other.apply(next(fixture, [upsert("z", 4, "4"), truncate(5)]))],
  [
    "another column is filled",
    ({ table }, other) => {
      const rowSchema = { idType: "string" as const, children: [], columns: [{ name: "other", sqlType: "text" }] };
      return other.apply(batchAt(0, table, [upsert("c", 1, "c", rowSchema)], 1));
    },
  ],
];

test.each(CHANGES)("where %s, the batch is applied as by a sink that has just looked", async (_, change) => {
  const outcomes = [];
  for (const knows of [true, false]) {
    const fixture = await filled();
    await change(fixture, fixture.openSink());
    const sink = knows ? fixture.sink : fixture.openSink();
    const batch = next(fixture, [upsert("a", 3, "3"), upsert("b", 3, "3"), upsert("d", 6, "6")]);
    outcomes.push({ outcome: await sink.apply(batch), rows: await rowsOf(fixture) });
  }
  expect(outcomes[0]).toEqual(outcomes[1]);
  expect(outcomes[0]).toMatchObject({ outcome: "applied" });
});

test("a batch that another consumer has applied is fenced, also at the same time", async () => {
  const fixture = await filled();
  const other = fixture.openSink();
  const batches = Array.from({ length: 20 }, (_, n) => next(fixture, [upsert("a", n + 2, String(n))]));
  for (const batch of batches) {
    const outcomes = await Promise.all([fixture.sink, other].map((sink) => sink.apply(batch)));
    expect(outcomes.toSorted()).toEqual(["applied", "fenced"]);
  }
  expect(await fixture.sink.apply(batches[3] as MicroBatch)).toBe("fenced");
  expect(await rowsOf(fixture)).toEqual([{ _id: "a", value: "19" }]);
});

test("a failed batch changes nothing, and its error is PostgreSQL's", async () => {
  const fixture = await filled();
  const { sink, pool } = fixture;
  await pool.query("ALTER TABLE mine ADD CHECK (value <> 'bad')");
  const bad = batchAt(fixture.at, fixture.table, [upsert("a", 2, "bad")]);
  await expect(sink.apply(bad)).rejects.toMatchObject({ code: "CONSTRAINT_VIOLATED" });
  expect(await sink.readProgress([bad])).toEqual(new Map([["t/0", BigInt(fixture.at)]]));
  expect(await sink.apply(next(fixture, [upsert("a", 2, "good")]))).toBe("applied");
  expect(await rowsOf(fixture)).toEqual([{ _id: "a", value: "good" }]);
});
