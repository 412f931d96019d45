import { expect, test } from "vitest";
import type { Change, RowSchema } from "../../../src/schemas/row-schema.ts";
import { cellsOf } from "../../support/cells.ts";
import { batchAt, deletion, freshSink, truncate } from "./fixture.ts";

const rowSchema: RowSchema = {
  idType: "string",
  children: [],
  columns: [
    { name: "hall", sqlType: "text" },
    { name: "seat", sqlType: "integer" },
  ],
};

function seated(key: string, version: number, hall: string, seat: number): Change {
  return { op: "u", key, version: BigInt(version), children: [], cells: cellsOf([hall, String(seat)]), rowSchema };
}

const COLUMNS = "_id text PRIMARY KEY, _version bigint, hall text, seat integer, note text";

/** A table with two rows of version 1 or 2: a at 1, b at 2. */
async function seatedTable(constraint: string, columns = COLUMNS) {
  const { schema, pool, sink } = await freshSink();
  const table = { schema, table: "seats" };
  await sink.readProgress([{ topic: "t", partition: 0 }]);
  await pool.query(`CREATE TABLE seats (${columns}); ${constraint}`);
  let offset = 0;
  const apply = async (...changes: readonly Change[]) => {
    const outcome = await sink.apply(batchAt(offset, table, changes));
    offset += changes.length;
    return outcome;
  };
  const skip = async (change: Change) => {
    const stretch = { topic: "t", partition: 0, table, expectedOffset: BigInt(offset), nextOffset: BigInt(++offset) };
    return await sink.skip(stretch, change);
  };
  const replay = (change: Change) => sink.replay({ topic: "t", partition: 0, offset: 1n }, 2, table, change);
  const rows = async () =>
    (await pool.query({ text: "SELECT _id, _version::int, hall, seat FROM seats ORDER BY _id", rowMode: "array" }))
      .rows;
  await apply(seated("a", 1, "x", 1), seated("b", 2, "x", 2));
  await pool.query("UPDATE seats SET note = 'mine'");
  const notes = async () => (await pool.query("SELECT FROM seats WHERE note = 'mine'")).rowCount;
  return { apply, skip, replay, rows, notes, pool };
}

const PLAIN = "CREATE UNIQUE INDEX seats_seat ON seats (hall, seat)";

test("two documents of one batch swap a unique value, and keep the user's columns", async () => {
  const { apply, rows, notes } = await seatedTable(PLAIN);
  expect(await apply(seated("a", 3, "x", 2), seated("b", 4, "x", 1))).toBe("applied");
  expect(await rows()).toEqual([
    ["a", 3, "x", 2],
    ["b", 4, "x", 1],
  ]);
  expect(await notes()).toBe(2);
});

test("a value goes from a document that is deleted to a new one, in one batch", async () => {
  const { apply, rows } = await seatedTable(PLAIN);
  expect(await apply(deletion("a", 3, rowSchema), seated("c", 4, "x", 1))).toBe("applied");
  expect((await rows()).map(([id]: unknown[]) => id)).toEqual(["b", "c"]);
});

test("the row of a document whose newer state is a dead letter gives way; its replay is applied afterwards", async () => {
  const { apply, skip, replay, rows } = await seatedTable(PLAIN);
  await expect(apply(seated("a", 3, "x", 2))).rejects.toMatchObject({ kind: "poison", details: { sqlstate: "23505" } });
  await skip(seated("a", 3, "x", 2));
  expect(await apply(seated("b", 4, "x", 1))).toBe("applied");
  expect(await rows()).toEqual([
    ["a", 1, null, 1],
    ["b", 4, "x", 1],
  ]);
  expect(await replay(seated("a", 3, "x", 2))).toBe("replayed");
  expect(await rows()).toEqual([
    ["a", 3, "x", 2],
    ["b", 4, "x", 1],
  ]);
});

test("a row that is up to date does not give way", async () => {
  const { apply, rows } = await seatedTable(PLAIN);
  const before = await rows();
  await expect(apply(seated("c", 3, "x", 1), seated("d", 4, "x", 7))).rejects.toMatchObject({
    kind: "poison",
    details: { sqlstate: "23505", constraint: "seats_seat" },
  });
  expect(await rows()).toEqual(before);
});

test("an older change does not make a newer row give way", async () => {
  const { apply, rows } = await seatedTable(PLAIN);
  await apply(seated("a", 9, "x", 1));
  const before = await rows();
  await expect(apply(seated("a", 3, "x", 5), seated("b", 4, "x", 1))).rejects.toMatchObject({ kind: "poison" });
  expect(await rows()).toEqual(before);
});

test.each([
  [
    "columns that are NOT NULL",
    PLAIN,
    COLUMNS.replace("hall text", "hall text NOT NULL").replace("integer", "integer NOT NULL"),
  ],
  ["expressions", "CREATE UNIQUE INDEX seats_seat ON seats (lower(hall), seat)", COLUMNS],
])("an index of %s gives the violation of the first try", async (_, constraint, columns) => {
  const { apply, rows } = await seatedTable(constraint, columns);
  const before = await rows();
  await expect(apply(seated("a", 3, "x", 2), seated("b", 4, "x", 1))).rejects.toMatchObject({
    kind: "poison",
    details: { sqlstate: "23505", constraint: "seats_seat" },
  });
  expect(await rows()).toEqual(before);
});

test("NOT NULL columns swap with a constraint that is deferred", async () => {
  const columns = COLUMNS.replace("integer", "integer NOT NULL");
  const { apply, rows } = await seatedTable(
    "ALTER TABLE seats ADD UNIQUE (seat) DEFERRABLE INITIALLY DEFERRED",
    columns,
  );
  expect(await apply(seated("a", 3, "x", 2), seated("b", 4, "x", 1))).toBe("applied");
  expect((await rows()).map(([, , , seat]: unknown[]) => seat)).toEqual([2, 1]);
});

test("changes below a truncate make nothing give way", async () => {
  const { apply, rows } = await seatedTable(PLAIN);
  await apply(seated("a", 9, "x", 1), truncate(8));
  expect(await apply(seated("b", 4, "x", 1), seated("c", 10, "x", 3))).toBe("applied");
  expect((await rows()).map(([id]: unknown[]) => id)).toEqual(["a", "c"]);
});
