import { expect, test } from "vitest";
import { RESERVED_WORDS } from "../../../src/operations/propose/reserved-words.ts";
import { freshPostgresSchema } from "../../support/servers.ts";

test("every word that PostgreSQL reserves is in the list", async () => {
  const { pool } = await freshPostgresSchema();
  const { rows } = await pool.query<{ word: string }>("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')");
  expect(rows.length).toBeGreaterThan(90);
  expect(rows.filter(({ word }) => !RESERVED_WORDS.has(word))).toEqual([]);
});
