import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { textArray } from "../../src/consumers/postgres-array.ts";
import { freshPostgresSchema } from "../support/servers.ts";

const { pool } = await freshPostgresSchema();

async function roundTrip(values: readonly (string | null)[]): Promise<unknown[]> {
  const { rows } = await pool.query<{ value: string | null }>("SELECT value FROM unnest($1::text[]) AS value", [
    textArray(values),
  ]);
  return rows.map(({ value }) => value);
}

// PostgreSQL's text holds every character but NUL, and no half of a surrogate pair.
const text = fc.string({ unit: "binary", maxLength: 50 }).map((value) => value.replaceAll("\u0000", "\uFFFD"));

describe("textArray", () => {
  test("gives PostgreSQL the same texts", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(text), { minLength: 1, maxLength: 100 }), async (values) => {
        expect(await roundTrip(values)).toEqual(values);
      }),
      { numRuns: 200 },
    );
  });

  test("keeps what an array literal would have to escape", async () => {
    const values = ["", "NULL", "null", null, '"', "\\", "{", "}", ",", " a ", "'", "\n", '{"a":[1,2]}', "$1"];
    expect(await roundTrip(values)).toEqual(values);
  });

  test("takes texts of many megabytes beside short ones", async () => {
    const values = ["a", "é".repeat(8_000_000), null, "b".repeat(16_000_000), "c"];
    expect(await roundTrip(values)).toEqual(values);
  });
});
