import { describe, expect, test } from "vitest";
import { foldBatch } from "../../../../src/consumers/batches/fold-batch.ts";
import { groupStatements } from "../../../../src/consumers/postgres/sql/group-statements.ts";
import { buildStatements, quoteIdentifier, quoteTable } from "../../../../src/consumers/postgres/sql/upsert-sql.ts";
import type { Change, RowSchema } from "../../../../src/schemas/row-schema.ts";
import { cellsOf } from "../../../support/cells.ts";

const table = { schema: "public", table: "products" };
const rowSchema: RowSchema = {
  idType: "integer",
  children: [],
  columns: [
    { name: 'say "hi"', sqlType: "character varying(20)" },
    { name: "price", sqlType: "numeric(10,2)" },
    { name: "tags", sqlType: "character(3)[]" },
  ],
};
const statements = {
  ...buildStatements({ table, rowSchema, resetColumns: [], internalSchema: "headrace" }),
  children: [],
};

function upsert(key: string): Change {
  return { op: "u", key, version: 1n, rowSchema, children: [], cells: cellsOf(["a", "1.00", null]) };
}

function deletion(key: string): Change {
  return { op: "d", key, version: 1n, rowSchema, children: [], cells: null };
}

describe("identifiers", () => {
  test("are quoted, with their quotes doubled", () => {
    expect(quoteIdentifier('say "hi"; --')).toBe('"say ""hi""; --"');
    expect(quoteTable({ schema: "a.b", table: 'c"d' })).toBe('"a.b"."c""d"');
  });
});

describe("the statements of a table", () => {
  test("quote every column", () => {
    expect(statements.upsert.text).toContain('"say ""hi""" = EXCLUDED."say ""hi"""');
  });

  test("cast without length or precision, so that no value is truncated silently", () => {
    expect(statements.upsert.text).toContain("c0::character varying,");
    expect(statements.upsert.text).toContain("c1::numeric,");
    expect(statements.upsert.text).toContain("c2::bpchar[]");
  });

  test("have the same name only if their text is the same", () => {
    const again = buildStatements({ table, rowSchema: { ...rowSchema }, resetColumns: [], internalSchema: "headrace" });
    const other = buildStatements({ table, rowSchema, resetColumns: ["old"], internalSchema: "headrace" });
    expect({ ...again, children: [] }).toEqual(statements);
    expect(other.upsert.name).not.toBe(statements.upsert.name);
    expect(other.delete.name).toBe(statements.delete.name);
  });

  test("reset columns that only other RowSchemas have", () => {
    const other = buildStatements({ table, rowSchema, resetColumns: ['o"ld'], internalSchema: "headrace" });
    expect(other.upsert.text).toContain('"o""ld" = DEFAULT');
  });
});

describe("a group's statements", () => {
  test("are none, one or two", () => {
    const texts = (changes: Change[]): string[] =>
      foldBatch(changes).flatMap((group) => groupStatements(statements, group, true).map(({ text }) => text));
    expect(texts([])).toEqual([]);
    expect(texts([upsert("1")])).toEqual([statements.upsert.text]);
    expect(texts([deletion("1")])).toEqual([statements.delete.text]);
    expect(texts([upsert("1"), deletion("2")])).toEqual([statements.upsert.text, statements.delete.text]);
  });

  test("have one parameter per column for any number of rows, and the relation where they look at tombstones", () => {
    const [group] = foldBatch([upsert("1"), upsert("2"), upsert("3")]);
    const [checked] = groupStatements(statements, group!, true);
    expect(checked?.values?.length).toBe(2 + rowSchema.columns.length + 1);
    expect(checked?.values?.at(-1)).toBe('"public"."products"');
    const [unchecked] = groupStatements(statements, group!, false);
    expect(unchecked?.text).not.toContain("tombstones");
    expect(unchecked?.values?.length).toBe(2 + rowSchema.columns.length);
  });
});
