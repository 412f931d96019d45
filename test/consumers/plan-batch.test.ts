import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planBatch } from "../../src/consumers/plan-batch.ts";
import type { Change, RowSchema } from "../../src/schemas/row-schema.ts";

const older: RowSchema = { idType: "string", columns: [{ name: "a", sqlType: "text" }] };
const newer: RowSchema = { idType: "string", columns: [...older.columns, { name: "b", sqlType: "bigint" }] };

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
      ? { op: "d", key, version, rowSchema, values: null }
      : { op: "u", key, version, rowSchema, values: rowSchema.columns.map(() => value) },
  );

/** What a table that applies one change after the other would have been given last, by key. */
function appliedOneByOne(changes: readonly Change[]): Map<string, Change> {
  const rows = new Map<string, Change>();
  for (const change of changes) {
    const row = rows.get(change.key);
    if (row === undefined || row.version <= change.version) rows.set(change.key, change);
  }
  return rows;
}

describe("planBatch", () => {
  test("leaves of each key the change that applying one by one would leave", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const planned = planBatch(changes).flatMap((group) => [...group.upserts, ...group.deletes]);
        expect(new Map(planned.map((change) => [change.key, change]))).toEqual(appliedOneByOne(changes));
        expect(planned.length).toBe(new Set(changes.map(({ key }) => key)).size);
      }),
    );
  });

  test("puts every change into the group of its RowSchema, upserts and deletes apart", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const groups = planBatch(changes);
        expect(new Set(groups.map(({ rowSchema }) => rowSchema)).size).toBe(groups.length);
        for (const { rowSchema, upserts, deletes } of groups) {
          expect(upserts.length + deletes.length).toBeGreaterThan(0);
          for (const upsert of upserts) expect(upsert).toMatchObject({ op: "u", rowSchema });
          for (const deletion of deletes) expect(deletion).toMatchObject({ op: "d", rowSchema });
        }
      }),
    );
  });

  test("refuses a truncate instead of leaving rows that should be gone", () => {
    const truncate: Change = { op: "t", key: "", version: 2n, rowSchema: older, values: null };
    expect(() => planBatch([truncate])).toThrow(
      expect.objectContaining({ code: "TRUNCATE_UNSUPPORTED", kind: "fatal" }) as Error,
    );
  });
});
