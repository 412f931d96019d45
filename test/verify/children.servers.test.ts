// The tables of children, filled by the real encoder, decoder and sink, then changed by hand.
import * as fc from "fast-check";
import type { Db } from "mongodb";
import type { Pool } from "pg";
import { expect, test } from "vitest";
import { clusterTimes } from "../../src/producers/mongodb/client.ts";
import { compareTables } from "../../src/verify/compare-tables.ts";
import type { ComparedPipeline } from "../../src/verify/compare-tables.ts";
import type { CollectionResult } from "../../src/verify/result.ts";
import { batchAt, freshSink } from "../consumers/postgres/fixture.ts";
import { orderChanges, orderFields, ordersMapping } from "../support/orders.ts";
import type { Order } from "../support/orders.ts";
import { freshMongoDatabase } from "../support/servers.ts";

interface Keyed {
  readonly _id: string;
}

interface Orders {
  readonly db: Db;
  readonly pool: Pool;
  /** Writes to MongoDB. */
  insert(orders: ReadonlyMap<string, Order>): Promise<void>;
  /** Writes through the sink, under a newer version than before; null deletes. */
  apply(orders: ReadonlyMap<string, Order | null>): Promise<void>;
  compare(overrides?: Partial<ComparedPipeline>): Promise<CollectionResult>;
}

/** Without foreign keys, which would refuse orphans. */
const mapping = (() => {
  const withKeys = ordersMapping();
  type Children = typeof withKeys.children;
  const withoutKeys = (children: Children): Children =>
    children.map((child) => ({ ...child, hasForeignKey: false, children: withoutKeys(child.children) }));
  return { ...withKeys, children: withoutKeys(withKeys.children) };
})();

async function freshOrders(): Promise<Orders> {
  const { db } = await freshMongoDatabase();
  const { schema, pool, sink } = await freshSink();
  const { change } = orderChanges(mapping);
  await sink.readProgress([{ topic: "t", partition: 0 }]);
  let offset = 0;
  let version = 0;
  return {
    db,
    pool,
    async insert(orders) {
      await db.collection<Keyed>("orders").insertMany([...orders].map(([_id, order]) => ({ _id, ...order })));
    },
    async apply(orders) {
      version++;
      const changes = [...orders].map(([key, order]) => change(key, version, order));
      expect(await sink.apply(batchAt(offset, { schema, table: "orders" }, changes))).toBe("applied");
      offset += changes.length;
    },
    async compare(overrides = {}) {
      const client = await pool.connect();
      try {
        const pipeline: ComparedPipeline = {
          db,
          client,
          schema,
          nulCharacters: "replace",
          idTypeOf: async () => "string",
          waitUntilCaughtUp: async () => (await clusterTimes(db)).majority,
          openDeadLetters: async () => new Set(),
          ...overrides,
        };
        const [result] = (await compareTables(pipeline, [{ table: "orders", mapping }])).collections;
        if (result === undefined) throw new Error("nothing was compared");
        return result;
      } finally {
        client.release(true);
      }
    },
  };
}

function found({ missing, extra, different, differentColumns, orphaned }: CollectionResult): object {
  const [a, b, c, d] = [missing, extra, different, orphaned].map((keys) => keys.toSorted());
  return { missing: a, extra: b, different: c, differentColumns, orphaned: d };
}

const NOTHING = { missing: [], extra: [], different: [], differentColumns: {}, orphaned: [] };

const ORDER: Order = {
  status: "open",
  cart: {
    items: [
      { sku: "a", qty: 1, taxes: [{ name: "vat", rate: 7 }, { name: "x", rate: 1, more: 2 }, "odd", null] },
      { sku: "b", qty: 2, more: { deep: [1] } },
      null,
      "loose",
    ],
    note: "n",
  },
  tags: ["x", "y", 3, null],
};

/** What somebody does by hand to the rows of the order `$1`, and what is found. */
const BY_HAND: readonly (readonly [sql: string, column: string])[] = [
  ["UPDATE orders SET status = 'shut' WHERE _id = $1", "status"],
  ["UPDATE orders SET _extra = NULL WHERE _id = $1", "_extra"],
  ["UPDATE orders_items SET sku = 'z' WHERE _parent = $1 AND _position = 1", "items.sku"],
  ["UPDATE orders_items SET qty = 3 WHERE _parent = $1 AND _position = 0", "items.qty"],
  ["UPDATE orders_items SET qty = 0 WHERE _parent = $1 AND _position = 2", "items.qty"],
  ["UPDATE orders_items SET _extra = '{}' WHERE _parent = $1 AND _position = 0", "items._extra"],
  ["UPDATE orders_items SET _extra = NULL WHERE _parent = $1 AND _position = 2", "items._extra"],
  ["UPDATE orders_items SET _position = 9 WHERE _parent = $1 AND _position = 3", "items"],
  ["DELETE FROM orders_items WHERE _parent = $1 AND _position = 0", "items"],
  ["DELETE FROM orders_items WHERE _parent = $1", "items"],
  ["INSERT INTO orders_items (_parent, _position) VALUES ($1, 4)", "items"],
  ["UPDATE orders_items_taxes SET name = NULL WHERE _parent = $1 AND _position_2 = 1", "items.taxes.name"],
  ["UPDATE orders_items_taxes SET rate = -7 WHERE _parent = $1 AND _position_2 = 0", "items.taxes.rate"],
  ["UPDATE orders_items_taxes SET _extra = '1' WHERE _parent = $1 AND _position_2 = 3", "items.taxes._extra"],
  ["DELETE FROM orders_items_taxes WHERE _parent = $1 AND _position_2 = 2", "items.taxes"],
  ["INSERT INTO orders_items_taxes VALUES ($1, 0, 4)", "items.taxes"],
  ["INSERT INTO orders_items_taxes VALUES ($1, 1, 0)", "items.taxes"],
  ["INSERT INTO orders_items_taxes VALUES ($1, 3, 0)", "items.taxes"],
  ["INSERT INTO orders_items_taxes VALUES ($1, 7, 0)", "items.taxes"],
  ["UPDATE orders_tags SET value = 'xx' WHERE _parent = $1 AND _position = 0", "tags.value"],
  ["UPDATE orders_tags SET _extra = 'null' WHERE _parent = $1 AND _position = 3", "tags._extra"],
  ["DELETE FROM orders_tags WHERE _parent = $1 AND _position = 1", "tags"],
  ["INSERT INTO orders_tags VALUES ($1, 4, 'z')", "tags"],
  ["INSERT INTO orders_tags VALUES ($1, -1, 'z')", "tags"],
  ["INSERT INTO orders_items_taxes VALUES ($1, 0, -1)", "items.taxes"],
  ["INSERT INTO orders_items_taxes VALUES ($1, -1, 0)", "items.taxes"],
];

test("random orders are equal", async () => {
  const orders = await freshOrders();
  const random = fc.sample(orderFields, { numRuns: 1_500 });
  const all = new Map(random.map((order, index) => [`k${index}`, order]));
  await orders.insert(all);
  await orders.apply(all);
  expect(await orders.compare()).toMatchObject({ ...NOTHING, documents: 1_500, rows: 1_500 });
});

test("every cell and row that somebody changes is found, and the document's next version mends it", async () => {
  const orders = await freshOrders();
  const keys = BY_HAND.map((_, index) => `k${String(index).padStart(2, "0")}`);
  const all = new Map([...keys, "untouched", "gone"].map((key) => [key, ORDER]));
  await orders.insert(all);
  await orders.apply(all);
  expect(found(await orders.compare())).toEqual(NOTHING);

  const differentColumns: Record<string, number> = {};
  for (const [index, [sql, column]] of BY_HAND.entries()) {
    expect((await orders.pool.query(sql, [keys[index]])).rowCount, sql).toBeGreaterThan(0);
    differentColumns[column] = (differentColumns[column] ?? 0) + 1;
  }
  await orders.pool.query("DELETE FROM orders WHERE _id = 'gone'");
  await orders.pool.query("INSERT INTO orders_items VALUES ('nobody', 0), ('nobody', 1)");
  await orders.pool.query("INSERT INTO orders_tags VALUES ('nobody', 0), ('nobody either', 0)");
  const result = await orders.compare();
  const orphaned = ["gone", "nobody", "nobody either"];
  expect(found(result)).toEqual({ missing: ["gone"], extra: [], different: keys, differentColumns, orphaned });
  expect(result).toMatchObject({ missingCount: 1, differentCount: keys.length, orphanedCount: 3 });

  await orders.apply(new Map([...all, ["nobody", null] as const, ["nobody either", null] as const]));
  expect(found(await orders.compare())).toEqual(NOTHING);
});

test("only orphans that stay after the pipeline has caught up count, and a dead letter does not hide them", async () => {
  const orders = await freshOrders();
  await orders.apply(new Map([["k", ORDER]]));
  await orders.pool.query("DELETE FROM orders");
  const openDeadLetters: ComparedPipeline["openDeadLetters"] = async (_, findings) => new Set(findings.keys());
  expect(found(await orders.compare({ openDeadLetters }))).toEqual({ ...NOTHING, orphaned: ["k"] });
  const swept = await orders.compare({
    async waitUntilCaughtUp() {
      await orders.pool.query("DELETE FROM orders_items; DELETE FROM orders_items_taxes; DELETE FROM orders_tags");
      return (await clusterTimes(orders.db)).majority;
    },
  });
  expect(found(swept)).toEqual(NOTHING);
});

test("more orphans than are kept in memory are counted", async () => {
  const orders = await freshOrders();
  await orders.apply(new Map([["k", ORDER]]));
  await orders.insert(new Map([["k", ORDER]]));
  await orders.pool.query("INSERT INTO orders_tags SELECT 'o' || i % 12345, i FROM generate_series(1, 30000) i");
  await orders.pool.query("INSERT INTO orders_items SELECT 'o' || i % 12345, i FROM generate_series(1, 30000) i");
  const result = await orders.compare();
  expect(result).toMatchObject({ orphanedCount: 12_345, missingCount: 0, extraCount: 0, differentCount: 0 });
  expect(result.orphaned).toHaveLength(100);
});

test("tables and columns of children that are missing count as empty", async () => {
  const orders = await freshOrders();
  await orders.insert(new Map([["k", ORDER]]));
  await orders.apply(new Map([["k", ORDER]]));
  await orders.pool.query("DROP TABLE orders_items_taxes; ALTER TABLE orders_items DROP COLUMN sku");
  await orders.pool.query("ALTER TABLE orders_tags DROP COLUMN _parent");
  const differentColumns = { "items.sku": 1, "items.taxes": 1, tags: 1 };
  expect(found(await orders.compare())).toEqual({ ...NOTHING, different: ["k"], differentColumns });
  await orders.pool.query("DROP TABLE orders");
  const withoutTable = await orders.compare();
  expect(found(withoutTable)).toEqual({ ...NOTHING, missing: ["k"], orphaned: ["k"] });
});

test("a newer document's elements are compared with the document as of its version", async () => {
  const orders = await freshOrders();
  const collection = orders.db.collection<Keyed>("orders");
  const now = async () => (await clusterTimes(orders.db)).majority;
  await orders.insert(new Map(["k", "l"].map((key) => [key, { tags: ["old"] }])));
  const time = await now();
  await collection.updateMany({}, { $set: { tags: ["new", "newer"] } });
  const version = await now();
  await collection.updateMany({}, { $set: { tags: [] } });
  await orders.apply(new Map(["k", "l"].map((key) => [key, { tags: ["new", "newer"] }])));
  await orders.pool.query("UPDATE orders SET _version = $1", [String(version)]);
  await orders.pool.query("DELETE FROM orders_tags WHERE _parent = 'l' AND _position = 1");
  const result = await orders.compare({ waitUntilCaughtUp: async () => time });
  expect(found(result)).toEqual({ ...NOTHING, different: ["l"], differentColumns: { tags: 1 } });
});

test("one document with 100,000 elements is compared element by element", async () => {
  const orders = await freshOrders();
  const all = new Map([["k", { tags: Array.from({ length: 100_000 }, (_, index) => `tag ${index}`) }]]);
  await orders.insert(all);
  await orders.apply(all);
  expect(found(await orders.compare())).toEqual(NOTHING);
  await orders.pool.query("UPDATE orders_tags SET value = 'other' WHERE _position = 77777");
  const changed = { ...NOTHING, different: ["k"], differentColumns: { "tags.value": 1 } };
  expect(found(await orders.compare())).toEqual(changed);
});

test("a table with a column called key, and texts that look like something else", async () => {
  const orders = await freshOrders();
  const all = new Map([["k", { tags: ["NULL", "", "%s", 'a"\\b', "{}", true, { a: null }] }]]);
  await orders.insert(all);
  await orders.apply(all);
  await orders.pool.query("ALTER TABLE orders ADD COLUMN key text; UPDATE orders SET key = 'x'");
  expect(found(await orders.compare())).toEqual(NOTHING);
});
