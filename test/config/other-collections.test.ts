import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { Config } from "../../src/config/config-schema.ts";
import { parseConfig } from "../../src/config/load-config.ts";
import { replicationOf, selectionOf, takesOthers } from "../../src/config/replication.ts";
import { MINIMAL_CONFIG } from "../support/minimal-config.ts";

function parse(collections?: object): Config {
  const text = stringify({ ...MINIMAL_CONFIG, ...(collections === undefined ? {} : { collections }) });
  return parseConfig(text, { file: "headrace.yaml", environment: {} });
}

function mistakesOf(collections: object): string {
  try {
    parse(collections);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("the config was accepted");
}

describe('"*" in collections', () => {
  const config = parse({
    orders: { table: "sales", columns: { n: "bigint" }, children: { items: { columns: { sku: "text" } } } },
    "*": { include: ["shop_*", "sales*"], exclude: ["*_old"], filter: { deleted: null }, idType: "string" },
  });

  test("takes what is not named, with its settings, in a table of the same name", () => {
    expect(takesOthers(config)).toBe(true);
    expect(replicationOf(config, "shop_carts")).toEqual({
      table: "shop_carts",
      mapping: {
        collection: "shop_carts",
        mode: "document",
        columns: [],
        children: [],
        idType: "string",
        filter: '{"deleted":null}',
      },
    });
  });

  test("leaves named collections as they are", () => {
    expect(replicationOf(config, "orders")).toMatchObject({
      table: "sales",
      mapping: { mode: "columns", filter: undefined },
    });
    expect([...config.collections!.keys()]).toEqual(["orders"]);
    expect(selectionOf(config).named).toEqual(["orders"]);
  });

  test("does not take what is excluded, not included, or would have the table of a named one", () => {
    for (const name of ["shop_old", "carts", "sales", "sales_items"])
      expect(replicationOf(config, name)).toBeUndefined();
  });

  test("may have columns, and be empty", () => {
    const others = parse({ "*": { columns: { n: "bigint" } } });
    expect(replicationOf(others, "any")?.mapping).toMatchObject({ mode: "columns", columns: [{ name: "n" }] });
    expect(replicationOf(parse({ "*": null }), "any")?.mapping.mode).toBe("document");
  });
});

test("without collections the whole database is taken, and with names alone nothing else", () => {
  expect(takesOthers(parse())).toBe(true);
  expect(replicationOf(parse(), "any")?.table).toBe("any");
  expect(takesOthers(parse({ orders: {} }))).toBe(false);
  expect(replicationOf(parse({ orders: {} }), "any")).toBeUndefined();
});

describe("a contradiction is refused, with line and path:", () => {
  test.each([
    [
      "children of many",
      { "*": { columns: { n: "bigint" }, children: { a: {} } } },
      'collections["*"].children: is for one',
    ],
    ["a table for many", { "*": { table: "all" } }, 'collections["*"].table: "all" is for one collection'],
    ["patterns of one collection", { orders: { exclude: ["a"] } }, 'collections.orders.exclude: belongs to "*"'],
    ["nothing is left", { "*": { exclude: ["*"] } }, 'collections["*"].exclude[0]: matches every name; omit "*"'],
    [
      "in and out",
      { "*": { include: ["a*"], exclude: ["a*"] } },
      'collections["*"].exclude[0]: "a*" is in include, too',
    ],
    [
      "named and excluded",
      { orders: {}, "*": { exclude: ["orders"] } },
      'collections["*"].exclude[0]: "orders" is named in `collections`',
    ],
    ["an empty list", { "*": { include: [] } }, 'collections["*"].include: '],
    ["an empty pattern", { "*": { include: [""] } }, 'collections["*"].include[0]: "" is not a pattern'],
    ["no list", { "*": { exclude: "a*" } }, 'collections["*"].exclude: "a*" is not valid; expected a list'],
  ])("%s", (_, collections, expected) => {
    expect(mistakesOf(collections)).toMatch(/line \d+, /);
    expect(mistakesOf(collections)).toContain(expected);
  });

  test("but a pattern may match what is named", () => {
    const config = parse({ tmp_orders: {}, "*": { exclude: ["tmp_*"] } });
    expect(replicationOf(config, "tmp_orders")).toBeDefined();
  });
});
