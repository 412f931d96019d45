import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aboveFloor, newestTruncate, foldBatch } from "../../../src/consumers/batches/fold-batch.ts";
import type { Change, RowSchema } from "../../../src/schemas/row-schema.ts";
import { cellsOf } from "../../support/cells.ts";

const older: RowSchema = { idType: "string", children: [], columns: [{ name: "a", sqlType: "text" }] };
const newer: RowSchema = {
  idType: "string",
  children: [],
  columns: [...older.columns, { name: "b", sqlType: "bigint" }],
};

const change: fc.Arbitrary<Change> = fc
  .record({
    key: fc.constantFrom("x", "y", "z", "__proto__"),
    version: fc.bigInt(1n, 5n),
    rowSchema: fc.constantFrom(older, newer),
    deleted: fc.boolean(),
    value: fc.string(),
  })
  .map(({ key, version, rowSchema, deleted, value }) =>
    deleted
      ? { op: "d", key, version, rowSchema, children: [], cells: null }
      : { op: "u", key, version, rowSchema, children: [], cells: cellsOf(rowSchema.columns.map(() => value)) },
  );

function truncate(version: bigint): Change {
  return { op: "t", key: "", version, rowSchema: older, children: [], cells: null };
}

/** What a table that applies one change after the other would have been given last, by key. */
function appliedOneByOne(changes: readonly Change[]): Map<string, Change> {
  const rows = new Map<string, Change>();
  for (const change of changes) {
    const row = rows.get(change.key);
    if (row === undefined || row.version <= change.version) rows.set(change.key, change);
  }
  return rows;
}

describe("foldBatch", () => {
  test("keeps for each key the change that wins when changes are applied one by one", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const planned = foldBatch(changes).flatMap((group) => [...group.upserts, ...group.deletes]);
        expect(new Map(planned.map((change) => [change.key, change]))).toEqual(appliedOneByOne(changes));
        expect(planned.length).toBe(new Set(changes.map(({ key }) => key)).size);
      }),
    );
  });

  test("groups changes by their RowSchema, upserts and deletes apart", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const groups = foldBatch(changes);
        expect(new Set(groups.map(({ rowSchema }) => rowSchema)).size).toBe(groups.length);
        for (const { rowSchema, upserts, deletes } of groups) {
          expect(upserts.length + deletes.length).toBeGreaterThan(0);
          for (const upsert of upserts) expect(upsert).toMatchObject({ op: "u", rowSchema });
          for (const deletion of deletes) expect(deletion).toMatchObject({ op: "d", rowSchema });
        }
      }),
    );
  });

  test("gives a truncate an empty group, and does not mix it up with a document of the same key", () => {
    const changes: Change[] = [
      { op: "u", key: "", version: 1n, rowSchema: older, children: [], cells: cellsOf(["a"]) },
      truncate(2n),
      { ...truncate(3n), rowSchema: newer },
    ];
    expect(foldBatch(changes)).toEqual([
      { rowSchema: older, upserts: [changes[0]], deletes: [] },
      { rowSchema: newer, upserts: [], deletes: [] },
    ]);
  });
});

describe("newestTruncate", () => {
  test("is the truncate with the highest version; undefined where there is none", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(change, fc.bigInt(0n, 5n).map(truncate)), { maxLength: 20 }), (changes) => {
        const versions = changes.filter(({ op }) => op === "t").map(({ version }) => Number(version));
        const newest = newestTruncate(changes);
        expect(newest?.version).toBe(versions.length === 0 ? undefined : BigInt(Math.max(...versions)));
        expect(newest?.op ?? "t").toBe("t");
      }),
    );
  });
});

describe("aboveFloor", () => {
  test("drops older changes, and none where there is no floor", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), fc.bigInt(0n, 6n), (changes, floor) => {
        for (const group of foldBatch(changes)) {
          expect(aboveFloor(group, undefined)).toEqual(group);
          const { upserts, deletes } = aboveFloor(group, floor);
          const isAbove = ({ version }: Change): boolean => version >= floor;
          expect(upserts).toEqual(group.upserts.filter(isAbove));
          expect(deletes).toEqual(group.deletes.filter(isAbove));
        }
      }),
    );
  });
});
