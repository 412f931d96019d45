import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { columnArrays, textArray } from "../../../../src/consumers/postgres/sql/text-arrays.ts";
import { cellsOf } from "../../../support/cells.ts";
import { freshPostgresSchema } from "../../../support/servers.ts";

const { pool } = await freshPostgresSchema();

async function roundTrip(array: Buffer): Promise<unknown[]> {
  const { rows } = await pool.query<{ value: string | null }>("SELECT value FROM unnest($1::text[]) AS value", [array]);
  return rows.map(({ value }) => value);
}

// PostgreSQL's text holds every character but NUL, and no half of a surrogate pair.
const text = fc.string({ unit: "binary", maxLength: 50 }).map((value) => value.replaceAll("\u0000", "\uFFFD"));

const HOSTILE = ["", "NULL", "null", '"', "\\", "{", "}", ",", " a ", "'", "\n", '{"a":[1,2]}', "$1"];
const LONG = ["a", "é".repeat(8_000_000), "", "b".repeat(16_000_000), "c"];

describe("textArray", () => {
  test("arrives at PostgreSQL as the same texts", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 100 }), async (texts) => {
        expect(await roundTrip(textArray(texts))).toEqual(texts);
      }),
      { numRuns: 100 },
    );
  });

  test("keeps what an array literal would have to escape", async () => {
    expect(await roundTrip(textArray(HOSTILE))).toEqual(HOSTILE);
  });

  test("works with texts of many megabytes beside short ones", async () => {
    expect(await roundTrip(textArray(LONG))).toEqual(LONG);
  });
});

describe("columnArrays", () => {
  const rows = fc
    .integer({ min: 1, max: 5 })
    .chain((columns) =>
      fc.array(fc.array(fc.option(text), { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 50 }),
    );

  test("arrives at PostgreSQL as the texts of each column", async () => {
    await fc.assert(
      fc.asyncProperty(rows, async (texts) => {
        const columns = texts[0]?.length ?? 0;
        const arrays = columnArrays(texts.map(cellsOf), columns);
        expect(arrays.length).toBe(columns);
        for (const [column, array] of arrays.entries()) {
          expect(await roundTrip(array)).toEqual(texts.map((row) => row[column]));
        }
      }),
      { numRuns: 100 },
    );
  });

  test("keeps what an array literal would have to escape", async () => {
    const [array] = columnArrays(
      [...HOSTILE, null].map((each) => cellsOf([each])),
      1,
    );
    expect(await roundTrip(array!)).toEqual([...HOSTILE, null]);
  });

  test("takes texts of many megabytes beside short ones", async () => {
    const [array] = columnArrays(
      [...LONG, null].map((each) => cellsOf([each])),
      1,
    );
    expect(await roundTrip(array!)).toEqual([...LONG, null]);
  });

  test("refuses rows with more or fewer cells than there are columns", () => {
    for (const columns of [1, 3]) expect(() => columnArrays([cellsOf(["a", null])], columns)).toThrow(TypeError);
  });
});
