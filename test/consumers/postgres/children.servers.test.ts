// The tables of arrays: written with their documents, under the same guard.
import * as fc from "fast-check";
import type { Pool } from "pg";
import { expect, test, vi } from "vitest";
import type { Change } from "../../../src/schemas/row-schema.ts";
import { expectedRows, JSON_NULL, orderChanges, orderFields, ordersMapping } from "../../support/orders.ts";
import type { Order, OrderRows } from "../../support/orders.ts";
import { batchAt, freshSink } from "./fixture.ts";

const { change } = orderChanges(ordersMapping());
const KEYS = ["k", "l", "m"] as const;

const COLUMNS: Readonly<Record<keyof OrderRows, readonly string[]>> = {
  orders: ["_id", "status"],
  orders_items: ["_parent", "_position", "sku", "qty"],
  orders_items_taxes: ["_parent", "_position", "_position_2", "name", "rate"],
  orders_tags: ["_parent", "_position", "value"],
};

async function rowsIn(pool: Pool, schema: string): Promise<OrderRows> {
  const read = async (table: keyof OrderRows): Promise<unknown[][]> => {
    const columns = COLUMNS[table];
    const { rows } = await pool.query<Record<string, string | null>>(
      `SELECT ${columns.map((name) => `"${name}"::text`).join(", ")}, _extra::text AS extra FROM "${schema}"."${table}"
       ORDER BY ${columns.map((name) => `"${name}"`).join(", ")}`,
    );
    return rows.map((row) => [...columns.map((name) => row[name]), parsed(row["extra"] ?? null)]);
  };
  return {
    orders: await read("orders"),
    orders_items: await read("orders_items"),
    orders_items_taxes: await read("orders_items_taxes"),
    orders_tags: await read("orders_tags"),
  };
}

function parsed(extra: string | null): unknown {
  if (extra === null) return null;
  return extra === "null" ? JSON_NULL : (JSON.parse(extra) as unknown);
}

function sorted(rows: OrderRows): OrderRows {
  const byText = (all: readonly unknown[][]) =>
    all.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return {
    orders: byText(rows.orders),
    orders_items: byText(rows.orders_items),
    orders_items_taxes: byText(rows.orders_items_taxes),
    orders_tags: byText(rows.orders_tags),
  };
}

interface Written {
  readonly key: string;
  readonly version: number;
  readonly order: Order | null;
}

/** Versions of a key may come late; each has one document. */
const written: fc.Arbitrary<readonly Written[]> = fc
  .array(
    fc.record({
      key: fc.constantFrom(...KEYS),
      version: fc.integer({ min: 1, max: 12 }),
      order: fc.option(orderFields, { freq: 6 }),
    }),
    { minLength: 1, maxLength: 14 },
  )
  .map((all) => {
    const first = new Map<string, Written>();
    return all.map((each) => {
      const place = `${each.key} ${each.version}`;
      const known = first.get(place) ?? each;
      first.set(place, known);
      return known;
    });
  });

function newest(all: readonly Written[]): ReadonlyMap<string, Order> {
  const last = new Map<string, Written>();
  for (const each of all) if (each.version >= (last.get(each.key)?.version ?? 0)) last.set(each.key, each);
  return new Map([...last].flatMap(([key, { order }]) => (order === null ? [] : [[key, order] as const])));
}

test("the tables hold the arrays of each key's newest document, in whatever order and batches the changes come", async () => {
  const { schema, pool, sink } = await freshSink();
  const table = { schema, table: "orders" };
  await sink.readProgress([{ topic: "t", partition: 0 }]);
  let offset = 0;
  let base = 0;
  const apply = async (changes: readonly Change[]): Promise<void> => {
    expect(await sink.apply(batchAt(offset, table, changes))).toBe("applied");
    offset += Math.max(1, changes.length);
  };
  await apply([change("k", 1, { tags: [] })]);
  await fc.assert(
    fc.asyncProperty(
      written,
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 14, maxLength: 14 }),
      async (all, sizes) => {
        // Each run is newer than those before: its keys begin without a document.
        base += 20;
        await apply(KEYS.map((key) => change(key, base, null)));
        const rest = [...all];
        for (const size of sizes) {
          const changes = rest.splice(0, size).map(({ key, version, order }) => change(key, base + version, order));
          if (changes.length > 0) await apply(changes);
        }
        expect(sorted(await rowsIn(pool, schema))).toEqual(sorted(expectedRows(newest(all))));
      },
    ),
    { numRuns: 150 },
  );
});

test("only rows of elements that differ are written", async () => {
  const { schema, pool, sink } = await freshSink();
  const table = { schema, table: "orders" };
  await sink.readProgress([{ topic: "t", partition: 0 }]);
  const order = {
    cart: {
      items: [
        { sku: "a", qty: 1 },
        { sku: "b", qty: 2 },
        { sku: "c", more: 1 },
      ],
    },
    tags: ["x", "y"],
  };
  const rowVersions = async () => {
    const { rows } = await pool.query<{ place: string; xmin: string }>(
      `SELECT 'item ' || _position AS place, xmin::text || xmax::text AS xmin FROM "${schema}".orders_items
       UNION ALL SELECT 'tag ' || _position, xmin::text || xmax::text FROM "${schema}".orders_tags ORDER BY 1`,
    );
    return new Map(rows.map(({ place, xmin }) => [place, xmin]));
  };
  await sink.apply(batchAt(0, table, [change("k", 1, order)]));
  const before = await rowVersions();
  const changed = {
    cart: { items: [{ sku: "a", qty: 1 }, { sku: "b", qty: 3 }, { sku: "c", more: 1 }, {}] },
    tags: ["x", "y"],
  };
  await sink.apply(batchAt(1, table, [change("k", 2, changed)]));
  const after = await rowVersions();
  const written_ = [...after].filter(([place, version]) => before.get(place) !== version).map(([place]) => place);
  expect(written_).toEqual(["item 1", "item 3"]);
});

test("records with another mapping leave nothing of an older state in the tables of children", async () => {
  const { schema, pool, sink } = await freshSink();
  const table = { schema, table: "orders" };
  await sink.readProgress([{ topic: "t", partition: 0 }]);
  const older = orderChanges(ordersMapping(["tags"]));
  const order = { cart: { items: [{ sku: "a", taxes: [{ name: "vat" }] }] }, tags: ["x"] };
  await sink.apply(batchAt(0, table, [change("k", 1, order), change("l", 1, order)]));
  await sink.apply(batchAt(2, table, [older.change("k", 2, order)]));
  const rows = await rowsIn(pool, schema);
  expect(rows.orders_items).toEqual([["l", "0", "a", null, null]]);
  expect(rows.orders_items_taxes).toEqual([["l", "0", "0", "vat", null, null]]);
  expect(rows.orders_tags).toEqual([
    ["k", "0", "x", null],
    ["l", "0", "x", null],
  ]);
  expect(rows.orders[0]?.[2]).toEqual({ cart: { items: [{ sku: "a", taxes: [{ name: "vat" }] }] } });
  await sink.apply(batchAt(3, table, [older.change("l", 3, null)]));
  expect((await rowsIn(pool, schema)).orders_items).toEqual([]);
});

test("an array of 100,000 elements is written, made shorter, and deleted with its document", async () => {
  const { schema, pool, sink } = await freshSink();
  const table = { schema, table: "orders" };
  await sink.readProgress([{ topic: "t", partition: 0 }]);
  const tags = Array.from({ length: 100_000 }, (_, index) => `tag ${index}`);
  const count = async () =>
    Number((await pool.query<{ n: string }>(`SELECT count(*) AS n FROM "${schema}".orders_tags`)).rows[0]?.n);
  await sink.apply(batchAt(0, table, [change("k", 1, { tags })]));
  expect(await count()).toBe(100_000);
  await sink.apply(batchAt(1, table, [change("k", 2, { tags: tags.slice(0, 10) })]));
  expect(await count()).toBe(10);
  await sink.apply(batchAt(2, table, [change("k", 3, null)]));
  expect(await count()).toBe(0);
});

test("a sweep does not take the elements of a document that another transaction is writing again", async () => {
  const { schema, pool, sink } = await freshSink();
  const table = { schema, table: "orders" };
  await sink.readProgress([0, 1].map((partition) => ({ topic: "t", partition })));
  await sink.apply(batchAt(0, table, [change("k", 1, { tags: ["x"] })]));
  await pool.query(
    "INSERT INTO orders_tags (_parent, _position, value) VALUES ('z', 0, 'kept'), ('nobody', 0, 'gone')",
  );
  const writer = await pool.connect();
  await writer.query("BEGIN");
  await writer.query("SELECT FROM progress WHERE partition = 1 FOR UPDATE");
  await writer.query("INSERT INTO orders (_id, _version) VALUES ('z', 100)");
  const swept = sink.apply(batchAt(1, table, [{ ...change("k", 50, null), op: "t", key: "" }]));
  const waits =
    "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%ORDER BY partition FOR UPDATE%'";
  await vi.waitFor(async () => expect((await pool.query(waits)).rowCount).toBeGreaterThan(0), { timeout: 30_000 });
  await writer.query("COMMIT");
  writer.release();
  expect(await swept).toBe("applied");
  const { rows } = await pool.query("SELECT _parent AS key FROM orders_tags");
  expect(rows).toEqual([{ key: "z" }]);
});
