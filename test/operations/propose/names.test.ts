import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { columnNames, shortened, snakeCase } from "../../../src/operations/propose/names.ts";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import { mappingMistakes } from "../../../src/schemas/mapping/mapping-mistakes.ts";

test.for([
  ["customerName", "customer_name"],
  ["US Gross", "us_gross"],
  ["HTTPServer", "http_server"],
  ["IMDB_Rating", "imdb_rating"],
  ["item2Count", "item2_count"],
  ["a.b-c", "a_b_c"],
  ["__v", "v"],
  ["2fa", "_2fa"],
  ["größeÄndern", "größe_ändern"],
  ["user", "user_"],
  ["Order", "order_"],
  ["$$", ""],
] as const)("%s in snake case is %s", ([name, snake]) => {
  expect(snakeCase(name)).toBe(snake);
});

describe("column names", () => {
  test.for([
    ["snake", [["a", "b"], ["a_b"], ["a.b"]], ["a_b_2", "a_b", "a_b_3"]],
    ["keep", [["a", "b"], ["a_b"], ["a.b"]], ["a_b_2", "a_b", "a.b"]],
    ["snake", [["Name"], ["name"]], ["name_2", "name"]],
    ["keep", [["Name"], ["name"]], ["Name", "name"]],
    [
      "snake",
      [["doc"], ["_version"], ["_extra"], ["xmin"], ["sub", "_id"]],
      ["doc_", "version", "extra", "xmin_", "sub_id"],
    ],
    [
      "keep",
      [["doc"], ["_version"], ["_extra"], ["xmin"], ["__proto__"]],
      ["doc_", "_version_", "_extra_", "xmin_", "__proto___"],
    ],
    ["snake", [[""], ["$"]], ["unnamed", "unnamed_2"]],
  ] as const)("%s: %j", ([style, paths, names]) => {
    expect(columnNames(paths, style)).toEqual(names);
  });

  test("never take a name that the table has", () => {
    expect(columnNames([["a"], ["b"]], "snake", ["a", "a_2"])).toEqual(["a_3", "b"]);
  });

  const path = fc.array(
    fc.oneof(
      fc.constantFrom("a", "a_b", "b", "_id", "doc", "x".repeat(70)),
      fc.string({ unit: "binary", maxLength: 40 }),
    ),
    {
      minLength: 1,
      maxLength: 3,
    },
  );
  const paths = fc.uniqueArray(path, { selector: (each) => JSON.stringify(each), maxLength: 12 });

  test.for(["snake", "keep"] as const)("%s: are unique and valid for any paths", (style) => {
    fc.assert(
      fc.property(paths, (some) => {
        const names = columnNames(some, style);
        expect(new Set(names).size).toBe(some.length);
        const columns = names.map((name, index) => ({ name, path: [`f${index}`], type: parseColumnType("text") }));
        expect(mappingMistakes({ collection: "c", mode: "columns", columns, children: [], idType: undefined })).toEqual(
          [],
        );
      }),
    );
  });

  test.for(["snake", "keep"] as const)("%s: do not depend on the order of the paths", (style) => {
    fc.assert(
      fc.property(paths, (some) => {
        expect(columnNames(some.toReversed(), style)).toEqual(columnNames(some, style).toReversed());
      }),
    );
  });
});

test("a long name is cut at a character and gets a hash of the whole name", () => {
  const long = "ä".repeat(40);
  expect(shortened(long, 63)).toMatch(/^ä{28}_[0-9a-f]{6}$/);
  expect(shortened(`${long}b`, 63)).not.toBe(shortened(long, 63));
  expect(shortened(long, 63)).toBe(shortened(long, 63));
  expect(shortened("ä".repeat(31), 63)).toBe("ä".repeat(31));
});
