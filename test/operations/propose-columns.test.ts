import * as fc from "fast-check";
import { Binary, Decimal128, Double, Int32, Long, ObjectId, Timestamp, UUID, type Document } from "mongodb";
import { describe, expect, test } from "vitest";
import { proposeColumns } from "../../src/operations/propose-columns.ts";
import { parseColumnType } from "../../src/schemas/mapping/column-type.ts";
import { mappingMistakes } from "../../src/schemas/mapping/mapping-mistakes.ts";

function typesOf(documents: readonly Document[]): Record<string, string> {
  return Object.fromEntries(proposeColumns(documents).columns.map(({ name, type }) => [name, type]));
}

describe("the proposed type", () => {
  test.for([
    ["text", ["a", new ObjectId()]],
    ["bigint", [new Int32(1), Long.fromString("9007199254740993")]],
    ["double precision", [new Int32(1), new Double(2.5)]],
    ["numeric", [new Double(2.5), Decimal128.fromString("1.10")]],
    ["boolean", [true, false]],
    ["timestamptz", [new Date()]],
    ["uuid", [new UUID()]],
    ["bytea", [new Binary(Buffer.from("x"))]],
    ["text[]", [["a", null], ["b"]]],
    ["jsonb", [["a", new Int32(1)], [{ b: true }]]],
  ] as const)("%s holds all values seen", ([type, values]) => {
    expect(typesOf(values.map((field) => ({ field })))).toEqual({ field: type });
  });

  test("is the type of at least 95 % of the values", () => {
    const mostly = [...Array.from({ length: 99 }, (_, n) => ({ title: `t${n}` })), { title: new Int32(300) }];
    expect(typesOf(mostly)).toEqual({ title: "text" });
  });

  test.for([
    ["text[]", [["a"], [], [null]]],
    ["text[]", [[], [], ["a"]]],
    ["jsonb", [[], [{ b: true }]]],
    ["jsonb", [[], []]],
  ] as const)("%s also holds empty arrays", ([type, values]) => {
    expect(typesOf(values.map((field) => ({ field })))).toEqual({ field: type });
  });

  test("is none if empty arrays are mixed with other values", () => {
    const { columns, leftOut } = proposeColumns([{ field: [] }, { field: "a" }]);
    expect({ columns, leftOut }).toEqual({ columns: [], leftOut: ["field (mixed: text, empty array)"] });
  });
});

test("fields of sub-documents get their own columns; a map with many names gets one jsonb column", () => {
  const map = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`key${n}`, new Int32(n)]));
  const { columns } = proposeColumns([{ dims: { w: new Double(1.5), box: { h: new Int32(1) } }, map }]);
  expect(columns).toEqual([
    { name: "dims_w", path: ["dims", "w"], type: "double precision" },
    { name: "dims_box_h", path: ["dims", "box", "h"], type: "bigint" },
    { name: "map", path: ["map"], type: "jsonb" },
  ]);
});

test("paths that are mixed, rare, null or impossible to name get no column, with the reason", () => {
  const documents: Document[] = Array.from({ length: 200 }, (_, n) => ({
    mixed: n % 2 === 0 ? "a" : new Int32(1),
    empty: null,
    "dotted.name": "x",
    doc: "reserved",
    odd: new Timestamp({ t: 1, i: 1 }),
  }));
  documents.push({ once: "a" });
  expect(proposeColumns(documents)).toEqual({
    columns: [],
    leftOut: [
      "mixed (mixed: text, bigint)",
      "empty (always null)",
      "dotted.name (a name in it is empty or has a dot)",
      expect.stringMatching(/^doc \(.*Headrace uses itself/),
      "odd (mixed: other)",
      "once (rare)",
    ],
  });
});

test("the proposal is a valid mapping for any documents", () => {
  const scalar = fc.constantFrom<unknown>("a", true, null, new Int32(1), new Double(0.5), new Date(0), new UUID(), [
    new Int32(1),
  ]);
  const name = fc.oneof(
    fc.constantFrom("a", "b", "a_b", "_id", "doc", "", "$x", "x.y", "__proto__"),
    fc.string({ maxLength: 80 }),
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, scalar, fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true })),
  }));
  const documents = fc.array(fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: true }), { maxLength: 5 });
  fc.assert(
    fc.property(documents, (some) => {
      const { columns } = proposeColumns(some);
      const mapping = columns.map((column) => ({ ...column, type: parseColumnType(column.type) }));
      expect(
        mappingMistakes({ collection: "c", mode: "columns", columns: mapping, children: [], idType: undefined }),
      ).toEqual([]);
    }),
  );
});
