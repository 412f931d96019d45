import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ImplicitTransaction } from "../../../../src/consumers/postgres/implicit-transaction.ts";
import { copyRows } from "../../../../src/consumers/postgres/sql/copy-rows.ts";
import { cellsOf } from "../../../support/cells.ts";
import { freshPostgresSchema } from "../../../support/servers.ts";
import { textSchema } from "../fixture.ts";

const { pool } = await freshPostgresSchema();
await pool.query("CREATE TABLE copied (n serial, key text, version bigint, a text, b text)");

const upsertOf = (key: string, version: bigint, cells: readonly (string | null)[]) => ({
  op: "r" as const,
  key,
  version,
  cells: cellsOf(cells),
  rowSchema: textSchema,
});

async function roundTrip(rows: readonly (readonly [string, bigint, string | null, string | null])[]): Promise<unknown> {
  const client = await pool.connect();
  try {
    const bytes = copyRows(
      rows.map(([key, version, a, b]) => upsertOf(key, version, [a, b])),
      2,
    );
    const copy = new ImplicitTransaction([
      { text: "TRUNCATE copied" },
      { text: "COPY copied (key, version, a, b) FROM STDIN WITH (ENCODING 'UTF8')", rows: bytes },
    ]);
    client.query(copy);
    await copy.done;
    const found = await client.query({ text: "SELECT key, version, a, b FROM copied ORDER BY n", rowMode: "array" });
    return found.rows.map(([key, version, a, b]: unknown[]) => [key, BigInt(String(version)), a, b]);
  } finally {
    client.release();
  }
}

// PostgreSQL's text holds every character but NUL, and no half of a surrogate pair.
const text = fc
  .oneof(
    fc.string({ unit: "binary", maxLength: 50 }),
    fc.string({ unit: fc.constantFrom("\\", "\t", "\n", "\r", "N", ".") }),
  )
  .map((value) => value.replaceAll("\u0000", "\uFFFD"));

test("arrives at PostgreSQL as the same rows", async () => {
  const row = fc.tuple(text, fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), fc.option(text), fc.option(text));
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 50 }), async (rows) => {
      expect(await roundTrip(rows)).toEqual(rows);
    }),
    { numRuns: 100 },
  );
});

test("keeps what would end a value, a row or the copy, and texts of many megabytes", async () => {
  const hostile = [
    "",
    "\\N",
    "\\.",
    "\\",
    "\\\\N",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\u0001",
    '"',
    "'",
    "é".repeat(4_000_000),
  ];
  const rows = hostile.map((value, n) => [value, BigInt(n), value, null] as const);
  expect(await roundTrip([...rows, ["\t".repeat(3_000_000), 1n, null, ""]])).toEqual([
    ...rows,
    ["\t".repeat(3_000_000), 1n, null, ""],
  ]);
});

test("a row with too few or too many cells is a bug", () => {
  expect(() => copyRows([upsertOf("a", 1n, ["1"])], 2)).toThrow(TypeError);
  expect(() => copyRows([upsertOf("a", 1n, ["1", "2", "3"])], 2)).toThrow(TypeError);
});
