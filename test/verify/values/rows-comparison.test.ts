import { serialize } from "bson";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import type { ChildMapping, CollectionMapping } from "../../../src/schemas/mapping/mapping.ts";
import { readBson } from "../../../src/verify/values/bson.ts";
import { childColumns, comparedChildren } from "../../../src/verify/values/child-tables.ts";
import { comparedColumns } from "../../../src/verify/values/document-row.ts";
import { RowsComparison } from "../../../src/verify/values/rows-comparison.ts";
import { expectedRows, JSON_NULL, orderFields, ordersMapping } from "../../support/orders.ts";
import type { Order, OrderRows } from "../../support/orders.ts";

type Row = readonly (string | null)[];

interface TableRows {
  /** `""` for the documents' table. */
  readonly suffix: string;
  readonly rows: readonly Row[];
}

function compare(mapping: CollectionMapping, document: object, tables: readonly TableRows[]): readonly string[] {
  const read = readBson(serialize({ _id: "k", ...document }), "\ufffd");
  const children = comparedChildren(mapping);
  const comparison = new RowsComparison(mapping, children, read);
  for (const { suffix, rows } of tables) {
    const place = children.findIndex((child) => child.suffix === suffix);
    for (const row of rows) {
      if (suffix === "") comparison.addRow(read, row);
      else comparison.addElement(read, place, row);
    }
  }
  return comparison.differing().toSorted();
}

const LABELS = { orders: "", orders_items: "items", orders_items_taxes: "items.taxes", orders_tags: "tags" } as const;
const SUFFIXES = { orders: "", orders_items: "items", orders_items_taxes: "items_taxes", orders_tags: "tags" } as const;
const TABLES = Object.keys(LABELS) as (keyof OrderRows)[];

/** The rows that a document must have, as PostgreSQL prints them, without its key. */
function rowsOf(order: Order): Record<keyof OrderRows, Row[]> {
  const rows = expectedRows(new Map([["k", order]]));
  const texts = (table: keyof OrderRows): Row[] =>
    rows[table].map(([, ...cells]) => [...(cells.slice(0, -1) as (string | null)[]), extraText(cells.at(-1))]);
  return {
    orders: texts("orders"),
    orders_items: texts("orders_items"),
    orders_items_taxes: texts("orders_items_taxes"),
    orders_tags: texts("orders_tags"),
  };
}

function extraText(extra: unknown): string | null {
  if (extra === null) return null;
  return extra === JSON_NULL ? "null" : JSON.stringify(extra);
}

function inTables(rows: Record<keyof OrderRows, readonly Row[]>, order: readonly (keyof OrderRows)[]): TableRows[] {
  return order.map((table) => ({ suffix: SUFFIXES[table], rows: rows[table] }));
}

const mapping = ordersMapping();
const tableOrder = fc.shuffledSubarray(TABLES, { minLength: TABLES.length });

test("the columns of each child's table", () => {
  expect(comparedColumns(mapping)).toEqual(["status", "_extra"]);
  expect(comparedChildren(mapping).map((child) => [child.suffix, child.label, childColumns(child)])).toEqual([
    ["items", "items", ["_position", "sku", "qty", "_extra"]],
    ["items_taxes", "items.taxes", ["_position", "_position_2", "name", "rate", "_extra"]],
    ["tags", "tags", ["_position", "value", "_extra"]],
  ]);
});

test("random orders equal their rows, in whatever order these come", () => {
  fc.assert(
    fc.property(orderFields, tableOrder, (order, tables) => {
      const rows = rowsOf(order);
      for (const table of TABLES) rows[table].reverse();
      expect(compare(mapping, order, inTables(rows, tables))).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

test("any one cell that is changed is found, and nothing else", () => {
  fc.assert(
    fc.property(orderFields, tableOrder, fc.nat(), (order, tables, at) => {
      const rows = rowsOf(order);
      const places = TABLES.flatMap((table) =>
        rows[table].flatMap((row, index) => row.map((_, cell) => ({ table, index, cell }))),
      );
      const { table, index, cell } = places[at % places.length] as (typeof places)[number];
      const child = comparedChildren(mapping).find(({ suffix }) => suffix === SUFFIXES[table]);
      const name = (child === undefined ? comparedColumns(mapping) : childColumns(child))[cell] as string;
      const isPosition = name.startsWith("_position");
      rows[table][index] = (rows[table][index] as Row).map((text, each) =>
        each === cell ? otherText(name, text) : text,
      );
      // An element at another position: one has no row, and one row no element.
      const label = isPosition ? LABELS[table] : [LABELS[table], name].filter((part) => part !== "").join(".");
      expect(compare(mapping, order, inTables(rows, tables))).toEqual([label]);
    }),
    { numRuns: 3_000 },
  );
});

function otherText(name: string, text: string | null): string | null {
  if (name.startsWith("_position")) return "1000";
  if (name === "_extra") return text === null ? '{"z": 1}' : null;
  if (text !== null) return name === "qty" || name === "rate" ? "77" : `${text}x`;
  return name === "qty" || name === "rate" ? "0" : "";
}

test("any one row of an element that is gone, and any that is too much, is found", () => {
  fc.assert(
    fc.property(orderFields, tableOrder, fc.nat(), (order, tables, at) => {
      const rows = rowsOf(order);
      const places = TABLES.slice(1).flatMap((table) => rows[table].map((_, index) => ({ table, index })));
      fc.pre(places.length > 0);
      const { table, index } = places[at % places.length] as (typeof places)[number];
      const [gone] = rows[table].splice(index, 1) as [Row];
      expect(compare(mapping, order, inTables(rows, tables))).toEqual([LABELS[table]]);
      const [, ...cells] = gone;
      rows[table].push(gone, ["1000", ...cells]);
      expect(compare(mapping, order, inTables(rows, tables))).toEqual([LABELS[table]]);
    }),
    { numRuns: 2_000 },
  );
});

describe("one array", () => {
  const child = (of: Partial<ChildMapping>): CollectionMapping => ({
    collection: "c",
    mode: "columns",
    columns: [],
    children: [
      { name: "a", path: ["a"], elements: "documents", columns: [], children: [], hasForeignKey: false, ...of },
    ],
    idType: "string",
  });
  const documents = child({ columns: [{ name: "n", path: ["x", "n"], type: parseColumnType("integer") }] });
  const values = (type: string): CollectionMapping =>
    child({ elements: "values", columns: [{ name: "value", path: [], type: parseColumnType(type) }] });
  const check = (of: CollectionMapping, document: object, extra: string | null, rows: readonly Row[]) =>
    compare(of, document, [
      { suffix: "", rows: [[extra]] },
      { suffix: "a", rows },
    ]);

  test.each<[name: string, document: object, extra: string | null, rows: readonly Row[]]>([
    ["missing", {}, null, []],
    ["null", { a: null }, null, []],
    ["empty", { a: [] }, null, []],
    ["an object", { a: { "0": 1 } }, '{"a": {"0": {"$numberInt": "1"}}}', []],
    ["a scalar", { a: "x" }, '{"a": "x"}', []],
    [
      "documents",
      { a: [{ x: { n: 1 } }, {}] },
      null,
      [
        ["0", "1", null],
        ["1", null, null],
      ],
    ],
    ["an _id in an element", { a: [{ _id: 1 }] }, null, [["0", null, '{"_id": {"$numberInt": "1"}}']]],
    ["an empty sub-document in an element", { a: [{ x: {} }] }, null, [["0", null, '{"x": {}}']]],
    [
      "other elements",
      { a: [null, [1], "s"] },
      null,
      [
        ["0", null, "null"],
        ["1", null, '[{"$numberInt": "1"}]'],
        ["2", null, '"s"'],
      ],
    ],
  ])("%s", (_, document, extra, rows) => {
    expect(check(documents, document, extra, rows)).toEqual([]);
    const wrongExtra = extra === null ? '{"a": []}' : null;
    expect(check(documents, document, wrongExtra, rows)).toEqual(["_extra"]);
    expect(check(documents, document, extra, [...rows, [String(rows.length), null, null]])).toEqual(["a"]);
    expect(check(documents, document, extra, [...rows, ["-1", null, null]])).toEqual(["a"]);
    expect(check(documents, document, extra, [...rows, [null, null, null]])).toEqual(["a"]);
    if (rows.length > 0) expect(check(documents, document, extra, rows.slice(1))).toEqual(["a"]);
  });

  test("SQL's NULL is not JSON's null", () => {
    expect(check(documents, { a: [null] }, null, [["0", null, null]])).toEqual(["a._extra"]);
    expect(check(documents, { a: [{}] }, null, [["0", null, "null"]])).toEqual(["a._extra"]);
    expect(check(values("integer"), { a: [null] }, null, [["0", null, "null"]])).toEqual(["a._extra"]);
  });

  test("an element that is no document has nothing in its columns", () => {
    expect(check(documents, { a: [1] }, null, [["0", "1", '{"$numberInt": "1"}']])).toEqual(["a.n"]);
  });

  test("values", () => {
    const document = { a: [1, null, "x", [2]] };
    const rows = [
      ["0", "1", null],
      ["1", null, null],
      ["2", null, '"x"'],
      ["3", null, '[{"$numberInt": "2"}]'],
    ];
    expect(check(values("integer"), document, null, rows)).toEqual([]);
    expect(check(values("integer"), document, null, [["0", null, '{"$numberInt": "1"}'], ...rows.slice(1)])).toEqual([
      "a._extra",
      "a.value",
    ]);
    expect(
      check(values("integer[]"), { a: [[1, 2], 3] }, null, [
        ["0", "{1,2}", null],
        ["1", null, '{"$numberInt": "3"}'],
      ]),
    ).toEqual([]);
    expect(check(values("boolean"), { a: [true] }, null, [["0", "t", null]])).toEqual([]);
  });

  test("a sub-document around the array stays in _extra only if it is empty, or has more", () => {
    const inner = child({ path: ["cart", "a"] });
    expect(check(inner, { cart: { a: [1] } }, null, [["0", '{"$numberInt": "1"}']])).toEqual([]);
    expect(check(inner, { cart: {} }, '{"cart": {}}', [])).toEqual([]);
    expect(check(inner, { cart: { a: null, b: "x" } }, '{"cart": {"b": "x"}}', [])).toEqual([]);
    expect(check(inner, { cart: [{ a: [1] }] }, '{"cart": [{"a": [{"$numberInt": "1"}]}]}', [])).toEqual([]);
  });
});
