import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { Double, Int32, type Document } from "mongodb";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseConfig } from "../../../src/config/load-config.ts";
import { configText } from "../../../src/operations/propose/config-text.ts";
import { proposeCollections } from "../../../src/operations/propose/propose-tables.ts";
import { compareConfig } from "../../../src/operations/update/compare-config.ts";
import { unifiedDiff } from "../../../src/operations/update/unified-diff.ts";
import { applied } from "../../../src/operations/update/yaml-insertion.ts";
import { sampleOf } from "../propose/summary-of.ts";

interface Found {
  readonly after: string;
  readonly report: readonly string[];
}

function compare(
  text: string,
  collections: Readonly<Record<string, readonly Document[]>>,
  misfits: Readonly<Record<string, number>> = {},
): Found {
  const samples = Object.entries(collections).map(([name, documents]) => ({
    ...sampleOf(name, documents),
    misfits: new Map(Object.entries(misfits)),
  }));
  const options = { names: undefined, arrays: "children", leftOut: new Map([["log", "it is capped"]]) } as const;
  const { insertions, report } = compareConfig(text, samples, options);
  return { after: applied(text, insertions), report };
}

const EDITED = `# our pipeline
name:   shop   # ours
collections:
    orders:   # the team of Ann reads it
        columns:
            # do not touch
            state: { path: status,   type: text }   # renamed
            total:    numeric
        # the end of orders
        redact: { email: drop, "customer.phone": hash }

    carts: {}
postgres: { schema: public }
`;
const ORDERS = [
  { status: "a", total: 1, email: "e", customer: { phone: "1", name: "Ann" }, items: [{ sku: "a" }], state: 1 },
];

test("new columns, children and collections are inserted; nothing else changes", () => {
  const { after, report } = compare(EDITED, { orders: ORDERS, carts: [{ a: 1 }], users: [{ name: "x" }], empty: [] });
  expect(after).toBe(`# our pipeline
name:   shop   # ours
collections:
    orders:   # the team of Ann reads it
        columns:
            # do not touch
            state: { path: status,   type: text }   # renamed
            total:    numeric
            customer_name: { path: customer.name, type: text } # 100 %: string
            state_2: { path: state, type: bigint } # 100 %: int
        # the end of orders
        redact: { email: drop, "customer.phone": hash }
        children:
          items: # 100 %: array of object
            path: items
            columns:
              sku: text # 100 %: string

    carts: {}
    users: # sampled: 1 document
      columns:
        name: text # 100 %: string
postgres: { schema: public }
`);
  expect(report).toEqual([
    "orders: new columns: customer_name, state_2",
    "orders: new children: items",
    "carts: in document mode; for typed columns, delete its lines from the file and run headrace init --update again",
    "empty: a new collection without documents",
    "new collection: users",
  ]);
});

test("after the update there is nothing to add", () => {
  const { after } = compare(EDITED, { orders: ORDERS, users: [{ name: "x" }] }, { total: 1 });
  expect(compare(after, { orders: ORDERS, users: [{ name: "x" }] }, { total: 1 }).after).toBe(after);
});

test("misfits are counted above their column, once", () => {
  const total = [new Int32(1), "free", new Double(0.5)].map((total) => ({ total, status: "a" }));
  const { after, report } = compare(EDITED, { orders: total }, { total: 1 });
  const comment = "1 of 3 documents does not fit: int, string, double; jsonb holds all";
  expect(after).toContain(`            # ${comment}\n            total:    numeric\n`);
  expect(report[0]).toBe(`orders.total: ${comment}`);
  expect(compare(after, { orders: total }, { total: 2 }).after).toBe(after);
});

test("misfits in children are counted above the child or its column", () => {
  const text = `collections:
  orders:
    columns: { total: numeric }
    children:
      items:
        columns:
          sku: text
`;
  const items = [{ sku: new Int32(1) }, { sku: "a" }];
  const { after } = compare(
    text,
    {
      orders: [
        { total: 1, items },
        { total: 2, items: "none" },
      ],
    },
    { items: 1, "items._extra": 1, "items.sku": 1 },
  );
  expect(after).toBe(`collections:
  orders:
    columns: { total: numeric }
    children:
      # 2 of 2 documents do not fit: array of object, string; jsonb holds all
      items:
        columns:
          # 1 of 2 documents does not fit: int, string; jsonb holds all
          sku: text
`);
});

test("a declared child gets new columns and children of its own", () => {
  const text = `collections:
  orders:
    columns: { total: numeric }
    children:
      items:
        columns: { sku: text }
      tags: { value: text }
`;
  const items = [{ sku: "a", quantity: new Int32(1), taxes: [{ rate: 1 }] }];
  const { after, report } = compare(text, { orders: [{ total: 1, items, tags: ["a"], payments: [{ by: "card" }] }] });
  expect(parse(after)).toEqual({
    collections: {
      orders: {
        columns: { total: "numeric" },
        children: {
          items: {
            columns: { sku: "text", quantity: "bigint" },
            children: { taxes: { path: "taxes", columns: { rate: "bigint" } } },
          },
          tags: { value: "text" },
          payments: { path: "payments", columns: { by: "text" } },
        },
      },
    },
  });
  expect(report).toEqual([
    "orders.items: new columns: quantity",
    "orders.items: new children: taxes",
    "orders: new children: payments",
  ]);
});

describe("a file in another form", () => {
  const documents = { orders: [{ a: 1, b: "x" }], users: [{ c: true }] };

  test.for([
    ["flow", "collections: { orders: { columns: { a: bigint } } }"],
    ["flow over lines", "collections: {\n  orders: { columns: {\n    a: bigint, # ours\n  } } }\n"],
    ["JSON", '{"collections": {"orders": {"columns": {"a": "bigint"}}}}'],
    ["no newline at the end", "collections:\n  orders:\n    columns:\n      a: bigint"],
    ["Windows", "collections:\r\n  orders:\r\n    columns:\r\n      a: bigint\r\n"],
    [
      "long texts",
      'collections:\n  orders:\n    columns:\n      "a":\n        type: >-\n          bigint\n        path: a\n',
    ],
    ["quoted over lines", 'collections:\n  orders:\n    columns:\n      a: "big\\\n        int" # a\n'],
    ["alias as a value", "x: &t bigint\ncollections:\n  orders:\n    columns:\n      a: *t\n"],
    ["comments at the end", "collections:\n  orders:\n    columns:\n      a: bigint\n      # b: text\n# end\n"],
  ] as const)("%s", ([, text]) => {
    const { after, report } = compare(text, documents);
    expect((parse(after) as { collections: unknown }).collections).toEqual({
      orders: { columns: { a: expect.anything() as unknown, b: "text" } },
      users: { columns: { c: "boolean" } },
    });
    expect(isSubsequence(text, after)).toBe(true);
    expect(after.includes("\r\n") && /[^\r]\n/.test(after)).toBe(false);
    expect(report).toEqual(["orders: new columns: b", "new collection: users"]);
  });

  test("what cannot be inserted is shown", () => {
    const shared = "x: &c { a: bigint }\ncollections:\n  orders: { columns: *c }\n  more: { columns: *c }\n";
    const { after, report } = compare(shared, { orders: documents.orders });
    expect(after).toBe(shared);
    expect(report).toEqual([
      "orders: new columns: b\n  cannot be inserted into collections.orders.columns; add by hand:\n    b: text # 100 %: string",
    ]);
  });

  test("without collections everything is replicated as it is", () => {
    const { after, report } = compare("name: shop\n", documents);
    expect(after).toBe("name: shop\n");
    expect(report).toEqual([expect.stringContaining("lists no collections")]);
  });

  test("collections that another rule covers are not added, and unfit ones of the file are named", () => {
    const text = 'collections:\n  log: { columns: { a: text } }\n  "*": {}\n';
    const { after, report } = compare(text, documents);
    expect(after).toBe(text);
    expect(report).toEqual(["log: cannot be replicated: it is capped"]);
  });
});

const scalarValue = fc.constantFrom<unknown>("a", true, null, new Int32(1), new Double(0.5), [], ["a"], [{ b: 1 }], {
  c: "x",
});
const document = fc.dictionary(fc.constantFrom("a", "b", "a_b", "userName", "order", "x.y", "${HOME}"), scalarValue, {
  noNullPrototype: true,
});
const documents = fc.array(document, { minLength: 1, maxLength: 4 });

test.for(["children", "jsonb"] as const)(
  "an update of what init wrote only adds, and leaves nothing to add (%s)",
  (arrays) => {
    fc.assert(
      fc.property(documents, documents, documents, (before, added, other) => {
        const collections = proposeCollections([sampleOf("c", before)], { names: "snake", arrays });
        const text = configText({ database: "shop", collections, leftOut: new Map() });
        const update = (file: string) => {
          const samples = [sampleOf("c", [...before, ...added]), sampleOf("d", other)];
          const compared = samples.map((sample) => ({ ...sample, misfits: new Map<string, number>() }));
          return compareConfig(file, compared, { names: "snake", arrays, leftOut: new Map() });
        };
        const { insertions, report } = update(text);
        const after = applied(text, insertions);
        expect(report.filter((line) => line.includes("by hand"))).toEqual([]);
        expect(update(after).insertions).toEqual([]);
        expect(parse(after)).toMatchObject(parse(text) as object);
        const environment = {
          MONGODB_URI: "mongodb://h",
          KAFKA_BROKERS: "h:9092",
          SCHEMA_REGISTRY_URL: "http://h",
          POSTGRES_URL: "postgres://h/d",
        };
        expect(parseConfig(after, { file: "f", environment }).collections?.size).toBe(2);
      }),
    );
  },
);

/** Whether `whole` is `part` with insertions only. */
function isSubsequence(part: string, whole: string): boolean {
  let at = 0;
  for (const character of whole) if (character === part[at]) at++;
  return at === part.length;
}

test("the diff is one that git apply takes", () => {
  const folder = mkdtempSync(join(tmpdir(), "headrace-diff-"));
  const line = fc.constantFrom("a", "b", "", "  c", "d\r");
  const insertion = fc.record({
    at: fc.nat(),
    text: fc.array(line, { minLength: 1, maxLength: 3 }),
    isWhole: fc.boolean(),
  });
  try {
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 30 }),
        fc.boolean(),
        fc.array(insertion, { minLength: 1, maxLength: 4 }),
        (lines, endsWithNewline, some) => {
          const text = `${lines.join("\n")}x${endsWithNewline ? "\n" : ""}`;
          const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)].filter(
            (at) => at < text.length,
          );
          const insertions = some.map(({ at, text: added, isWhole }) => ({
            offset: isWhole ? (starts[at % starts.length] ?? 0) : at % text.length,
            text: isWhole ? added.map((each) => `${each}\n`).join("") : ", y: z",
          }));
          writeFileSync(join(folder, "f.yaml"), text);
          writeFileSync(join(folder, "f.diff"), unifiedDiff("f.yaml", text, insertions));
          execFileSync("git", ["apply", "-p0", "--unsafe-paths", "--whitespace=nowarn", "f.diff"], {
            cwd: folder,
            env: { ...process.env, GIT_CEILING_DIRECTORIES: tmpdir() },
          });
          expect(readFileSync(join(folder, "f.yaml"), "utf8")).toBe(applied(text, insertions));
        },
      ),
      { numRuns: 40 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
