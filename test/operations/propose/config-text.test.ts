import * as fc from "fast-check";
import { Double, Int32, UUID, type Document } from "mongodb";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { parseConfig } from "../../../src/config/load-config.ts";
import { configText } from "../../../src/operations/propose/config-text.ts";
import type { ArrayStyle } from "../../../src/operations/propose/find-columns.ts";
import type { NameStyle } from "../../../src/operations/propose/names.ts";
import { proposeCollections } from "../../../src/operations/propose/propose-tables.ts";
import { MisfitCount } from "../../../src/operations/update/misfits.ts";
import { SHOP } from "./shop.ts";
import { bsonOf, sampleOf } from "./summary-of.ts";

type Collections = Readonly<Record<string, readonly Document[]>>;

function proposed(collections: Collections, names: NameStyle = "snake", arrays: ArrayStyle = "children") {
  return proposeCollections(
    Object.entries(collections).map(([name, documents]) => sampleOf(name, documents)),
    { names, arrays },
  );
}

function textFor(collections: Collections, names?: NameStyle, arrays?: ArrayStyle): string {
  return configText({ database: "shop", collections: proposed(collections, names, arrays), leftOut: new Map() });
}

const environment = {
  MONGODB_URI: "mongodb://localhost",
  KAFKA_BROKERS: "localhost:9092",
  SCHEMA_REGISTRY_URL: "http://localhost:8081",
  POSTGRES_URL: "postgres://localhost/shop",
};

const load = (text: string) => parseConfig(text, { file: "headrace.yaml", environment });

/** The collections as the text has them, without comments. */
const dataOf = (text: string) => (parse(text) as { collections: Record<string, unknown> }).collections;

test("a shop becomes tables with children, in snake case", () => {
  expect(dataOf(textFor(SHOP))).toMatchSnapshot();
});

test("each column says what was seen, and what a table does not have", () => {
  const text = textFor({
    products: SHOP["products"] ?? [],
    orders: SHOP["orders"] ?? [],
    events: SHOP["events"] ?? [],
  });
  expect(text.slice(text.indexOf("collections:"))).toMatchSnapshot();
});

test("the names in MongoDB stay with the style keep", () => {
  const { customers } = dataOf(textFor({ customers: SHOP["customers"] ?? [] }, "keep")) as {
    customers: { columns: object; table?: string };
  };
  expect(Object.keys(customers.columns)).toEqual(
    expect.arrayContaining(["fullName", "Loyalty Points", "address_geo_lat", "preferences"]),
  );
});

test.for(["children", "jsonb"] as const)("the shop with %s for arrays is a valid config", (arrays) => {
  for (const names of ["snake", "keep"] as const) {
    const { collections } = load(textFor(SHOP, names, arrays));
    expect([...(collections?.keys() ?? [])]).toEqual(Object.keys(SHOP));
  }
});

test("comments have no line of more than 500 characters, whatever the names are", () => {
  const wide = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`${"name\n# ".repeat(30)}${n}`, n]));
  const always = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`null${"y".repeat(200)}${n}`, null]));
  const text = textFor({ wide: [{ ...wide, ...always }] });
  const comments = text.split("\n").map((line) => line.slice(line.lastIndexOf(" # ")));
  expect(Math.max(...comments.map((comment) => comment.length))).toBeLessThan(500);
  expect(load(text).collections?.get("wide")?.mapping.columns).toHaveLength(200);
});

test("dates in texts stay texts, and a comment proposes the coercion", () => {
  const text = textFor({ customers: SHOP["customers"] ?? [] });
  expect(text).toContain(
    "signed_up: { path: signedUp, type: text } # 100 %: string; all 200 values are ISO 8601 dates: coerce in SQL, with ::timestamptz\n",
  );
  expect(text).toContain(
    "birthday: text # 66 %: string, null; all 133 values are ISO 8601 dates: coerce in SQL, with ::date\n",
  );
});

test("an invalid day or another text is no date", () => {
  const text = textFor({
    c: [
      { a: "2024-02-30", b: "2024-01-01", d: "2024-01-01" },
      { a: "2024-02-01", b: "soon", d: 1 },
    ],
  });
  expect(text).not.toContain("ISO 8601");
});

test("table names are unique with those of the children, and short enough for them", () => {
  const long = "a".repeat(100);
  const documents = [{ total: 1, items: [{ sku: "a", taxes: [{ rate: 1 }] }], [long]: [{ sku: "a" }] }];
  const collections = proposed({ orders: documents, orders_items: [{ a: 1 }], Orders: documents, [long]: documents });
  const tables: string[] = [];
  const collect = (table: string, children: (typeof collections)[number]["children"]): void => {
    tables.push(table);
    for (const child of children) collect(`${table}_${child.name}`, child.children);
  };
  for (const { table, children } of collections) collect(table, children);
  expect(tables).toHaveLength(13);
  expect(new Set(tables).size).toBe(tables.length);
  expect(tables.filter((table) => Buffer.byteLength(table) > 63)).toEqual([]);
  expect(tables).toEqual(expect.arrayContaining(["orders", "orders_items", "orders_items_2", "orders_2"]));
});

test("columns and children have different names, and a collection without columns has no children", () => {
  const [mixed, only] = proposed({
    mixed: [{ a_b: "x", a: { b: [{ c: 1 }] }, doc: [{ d: 1 }] }],
    only: [{ items: [{ sku: "a" }] }],
  });
  expect(mixed?.columns.map(({ name }) => name)).toEqual(["a_b"]);
  expect(mixed?.children.map(({ name }) => name)).toEqual(["a_b_2", "doc_"]);
  expect(only).toMatchObject({ columns: [{ name: "items", type: "jsonb" }], children: [] });
});

test("collections that cannot be replicated are comments", () => {
  const collections = proposed({ carts: [{ a: 1 }] });
  const text = configText({ database: "shop", collections, leftOut: new Map([["log\n", "it is capped"]]) });
  expect(text).toContain('# left out: "log\\n": it is capped\n');
});

const scalar = fc.constantFrom<unknown>(
  "a",
  "2024-01-31",
  true,
  null,
  new Int32(1),
  new Double(0.5),
  new Date(0),
  new UUID(),
  [],
  [new Int32(1)],
  ["a", null],
);
const name = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "a_b",
    "A",
    "_id",
    "doc",
    "$x",
    "x.y",
    "__proto__",
    "<<",
    "${HOME}",
    "null",
    "5",
    "order",
    "y".repeat(80),
  ),
  fc.string({ maxLength: 20 }).filter((text) => !text.includes("\0")),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true }), { maxLength: 3 }),
  ),
}));
const documents = fc.array(fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: true }), { maxLength: 5 });
// `init` leaves out what a config cannot name: test/operations/sample-database.servers.test.ts.
const collectionName = name.filter(
  (text) => !["", "*"].includes(text) && !text.includes("$") && !text.startsWith("system."),
);

test.for([
  ["snake", "children"],
  ["snake", "jsonb"],
  ["keep", "children"],
  ["keep", "jsonb"],
] as const)("%s, %s: any documents give a valid config whose tables hold all values", ([names, arrays]) => {
  const collections = fc.dictionary(collectionName, documents, { maxKeys: 3, minKeys: 1, noNullPrototype: true });
  fc.assert(
    fc.property(collections, (any) => {
      const text = textFor(any, names, arrays);
      const loaded = load(text).collections;
      for (const [name, some] of Object.entries(any)) {
        const mapping = loaded?.get(name)?.mapping;
        if (mapping === undefined) throw new Error(`no ${name}`);
        const misfits = new MisfitCount(mapping);
        for (const document of some) misfits.add(bsonOf(document));
        // Of many elements a few may be of another type. The text says so.
        if (!/ not fit|which are no documents/.test(text)) expect([...misfits.byColumn]).toEqual([]);
      }
    }),
  );
});
