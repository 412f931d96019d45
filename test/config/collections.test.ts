// What a collection's entry may say beside its columns: children and redactions.
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { parseConfig } from "../../src/config/load-config.ts";
import { replicationOf } from "../../src/config/replication.ts";
import { HeadraceError } from "../../src/errors/error.ts";
import { mappingFingerprint } from "../../src/schemas/mapping/fingerprint.ts";
import type { CollectionMapping } from "../../src/schemas/mapping/mapping.ts";
import { MINIMAL_CONFIG } from "../support/minimal-config.ts";

const HASH_KEY = "0123456789abcdef-secret";

function parse(config: object): ReturnType<typeof parseConfig> {
  return parseConfig(stringify({ ...MINIMAL_CONFIG, ...config }), { file: "headrace.yaml", environment: {} });
}

function mappingOf(orders: object, config: object = {}): CollectionMapping {
  const mapping = parse({ collections: { orders }, ...config }).collections?.get("orders")?.mapping;
  if (mapping === undefined) throw new Error("the collection is missing");
  return mapping;
}

/** The message of the mistakes. */
function refusal(collections: object, config: object = {}): string {
  try {
    parse({ collections, ...config });
  } catch (error) {
    if (error instanceof HeadraceError) return error.message;
    throw error;
  }
  return "";
}

describe("children", () => {
  test("have paths, columns or a value, and children of their own", () => {
    const { children } = mappingOf({
      columns: { status: "text" },
      children: {
        items: {
          path: "cart.items",
          columns: { sku: "text" },
          foreignKey: true,
          children: { taxes: { columns: { rate: "numeric" } } },
        },
        tags: { value: "text" },
      },
    });
    expect(children).toMatchObject([
      {
        name: "items",
        path: ["cart", "items"],
        elements: "documents",
        columns: [{ name: "sku", path: ["sku"], type: { sql: "text" } }],
        hasForeignKey: true,
        children: [{ name: "taxes", path: ["taxes"], elements: "documents", hasForeignKey: false }],
      },
      {
        name: "tags",
        path: ["tags"],
        elements: "values",
        columns: [{ name: "value", path: [], type: { sql: "text" } }],
      },
    ]);
  });

  test.each([
    ["without columns of the document", { children: { a: { value: "text" } } }, "document mode allows no children"],
    ["that declares nothing", { columns: { x: "text" }, children: { a: {} } }, "orders.children.a: it has neither"],
    [
      "with a value beside columns",
      { columns: { x: "text" }, children: { a: { value: "text", columns: { y: "text" } } } },
      "has `value`, for elements that are no documents",
    ],
    [
      "over a column's path",
      { columns: { x: { path: "a.b", type: "text" } }, children: { a: { value: "text" } } },
      'column "x" and child "a" have overlapping paths',
    ],
    [
      "with a column's name",
      { columns: { a: { path: "b", type: "text" } }, children: { a: { value: "text" } } },
      'child "a" is declared twice',
    ],
    [
      "with a reserved column",
      { columns: { x: "text" }, children: { a: { columns: { _position: "integer" } } } },
      'orders.children.a: column "_position" has a name that Headrace uses itself',
    ],
    [
      "with an unknown type",
      { columns: { x: "text" }, children: { a: { children: { b: { value: "txt" } } } } },
      'orders.children.a.children.b.value: Column type "txt" is not supported',
    ],
    [
      "of a child with another's table",
      { columns: { x: "text" }, children: { a: { children: { b: { value: "text" } } }, a_b: { value: "text" } } },
      "has the same table (orders_a_b)",
    ],
    [
      "with a name that is too long",
      { columns: { x: "text" }, children: { ["a".repeat(60)]: { value: "text" } } },
      "is no name that PostgreSQL can keep",
    ],
  ])("%s is refused", (_what, orders, message) => {
    expect(refusal({ orders })).toContain(message);
  });

  test("with the table of another collection is refused", () => {
    const orders = { columns: { x: "text" }, children: { items: { value: "text" } } };
    expect(refusal({ orders_items: {}, orders })).toContain(
      "collections.orders.children.items: has the same table (orders_items) as collection orders_items",
    );
  });

  test("change the mapping's fingerprint; without them it is the one of version 0.1.0", () => {
    const plain = mappingFingerprint(mappingOf({ columns: { x: "text" } }));
    expect(plain).toBe("33039a02d35eb9c8");
    const children = { a: { value: "text" } };
    const withChild = mappingFingerprint(mappingOf({ columns: { x: "text" }, children }));
    expect(withChild).not.toBe(plain);
    const nested = { a: { children } };
    expect(mappingFingerprint(mappingOf({ columns: { x: "text" }, children: nested }))).not.toBe(withChild);
  });
});

describe("redactions", () => {
  const documents = { hashKey: HASH_KEY };

  test("have paths and actions, and the key only where there are hashes", () => {
    expect(mappingOf({ redact: { "a.b": "drop", c: "null" } }, { documents }).redaction).toEqual({
      redactions: [
        { path: ["a", "b"], action: "drop" },
        { path: ["c"], action: "null" },
      ],
      hashKey: "",
    });
    expect(mappingOf({ redact: { a: "hash" } }, { documents }).redaction?.hashKey).toBe(HASH_KEY);
    expect(mappingOf({ redact: { a: null } }).redaction?.redactions).toEqual([{ path: ["a"], action: "null" }]);
  });

  test.each([
    ["of the _id", { redact: { "_id.x": "drop" } }, "_id.x: the _id is the row's key"],
    ["that overlap", { redact: { a: "drop", "a.b": "null" } }, "a and a.b overlap"],
    ["with an unknown action", { redact: { a: "mask" } }, "expected one of drop, null, hash"],
    [
      "of what a column reads",
      { columns: { x: { path: "a.b", type: "text" } }, redact: { a: "drop" } },
      'column "x" reads a, which never arrives (drop)',
    ],
    [
      "of what a child's column reads",
      { columns: { s: "text" }, children: { items: { columns: { sku: "text" } } }, redact: { "items.sku": "null" } },
      'column "sku" reads items.sku, which never arrives',
    ],
    [
      "to a hash that the column cannot hold",
      { columns: { n: "integer" }, redact: { n: "hash" } },
      'column "n" reads n, whose hash is a text',
    ],
  ])("%s are refused", (_what, orders, message) => {
    expect(refusal({ orders }, { documents })).toContain(message);
  });

  test("to hashes need a key, which no message shows", () => {
    expect(refusal({ orders: { redact: { a: "hash" } } })).toContain("documents.hashKey: is missing");
    expect(refusal({ orders: {} }, { documents: { hashKey: "too-short" } })).toMatch(/^(?!.*too-short).*is too short/s);
  });

  test("change the mapping's fingerprint, and so does another key", () => {
    const of = (redact: object, hashKey = HASH_KEY) =>
      mappingFingerprint(mappingOf({ redact }, { documents: { hashKey } }));
    expect(
      new Set([of({ a: "hash" }), of({ a: "drop" }), of({ b: "hash" }), of({ a: "hash" }, `${HASH_KEY}2`)]).size,
    ).toBe(4);
    expect(of({ a: "drop" }, `${HASH_KEY}2`)).toBe(of({ a: "drop" }));
  });
});

test("hashes of collections that the config does not name have the key, too", () => {
  const config = parse({ collections: { "*": { redact: { mail: "hash" } } }, documents: { hashKey: HASH_KEY } });
  expect(replicationOf(config, "leads")?.mapping.redaction?.hashKey).toBe(HASH_KEY);
  expect(refusal({ "*": { redact: { mail: "hash" } } })).toContain("documents.hashKey: is missing; collection *");
});
