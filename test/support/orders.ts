// Documents with arrays, the mapping that gives these tables of their own, and what must be in the tables.
import { EJSON, Int32, serialize } from "bson";
import * as fc from "fast-check";
import { decodeRecord } from "../../src/schemas/decoding/record-decoder.ts";
import { createEventEncoder } from "../../src/schemas/encoding/event-encoder.ts";
import { avroType } from "../../src/schemas/formats/avro-type.ts";
import { collectionSchema } from "../../src/schemas/mapping/collection-schema.ts";
import { parseColumnType } from "../../src/schemas/mapping/column-type.ts";
import type { ChildMapping, CollectionMapping } from "../../src/schemas/mapping/mapping.ts";
import type { RegisteredSchema, SchemaRegistry } from "../../src/schemas/registry/registry.ts";
import type { Change } from "../../src/schemas/row-schema.ts";

export type Order = Readonly<Record<string, unknown>>;

const column = (name: string, type: string, path = [name]) => ({ name, path, type: parseColumnType(type) });

const TAXES: ChildMapping = {
  name: "taxes",
  path: ["taxes"],
  elements: "documents",
  columns: [column("name", "text"), column("rate", "integer")],
  children: [],
  hasForeignKey: true,
};

const ITEMS: ChildMapping = {
  name: "items",
  path: ["cart", "items"],
  elements: "documents",
  columns: [column("sku", "text"), column("qty", "integer")],
  children: [TAXES],
  hasForeignKey: true,
};

const TAGS: ChildMapping = {
  name: "tags",
  path: ["tags"],
  elements: "values",
  columns: [column("value", "text", [])],
  children: [],
  hasForeignKey: false,
};

/** @param children names of children; the arrays of the others stay in `_extra` */
export function ordersMapping(children: readonly ("items" | "tags")[] = ["items", "tags"]): CollectionMapping {
  return {
    collection: "orders",
    mode: "columns",
    columns: [column("status", "text")],
    children: children.map((name) => (name === "items" ? ITEMS : TAGS)),
    idType: "string",
  };
}

const scalar = fc.oneof(
  fc.constantFrom("a", "b", "", "ü"),
  fc.integer({ min: -3, max: 3 }),
  fc.constant(null),
  fc.boolean(),
);
const tax = fc.oneof(
  { weight: 5, arbitrary: fc.record({ name: scalar, rate: scalar, more: scalar }, { requiredKeys: [] }) },
  { weight: 1, arbitrary: scalar },
);
const arrayOrNot = <T>(item: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.array(item, { maxLength: 4 }) },
    { weight: 1, arbitrary: scalar },
    { weight: 1, arbitrary: fc.record({ x: scalar }) },
  );
const item = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ sku: scalar, qty: scalar, taxes: arrayOrNot(tax), more: scalar }, { requiredKeys: [] }),
  },
  { weight: 1, arbitrary: scalar },
  { weight: 1, arbitrary: fc.array(scalar, { maxLength: 2 }) },
);
const cart = fc.oneof(
  { weight: 6, arbitrary: fc.record({ items: arrayOrNot(item), note: scalar }, { requiredKeys: [] }) },
  { weight: 1, arbitrary: scalar },
);

/** Orders without `_id`: arrays of documents and of scalars, two levels deep, some with what does not fit. */
export const orderFields: fc.Arbitrary<Order> = fc.record(
  { status: scalar, cart, tags: arrayOrNot(scalar), other: scalar },
  { requiredKeys: [] },
);

/** Everything that makes changes of orders, through the records of a topic. */
export function orderChanges(mapping: CollectionMapping) {
  const schema = collectionSchema(mapping, "string", { name: "p", database: "shop", topic: "p.shop.orders" });
  const schemas = new Map<number, RegisteredSchema>(
    [schema.keySchema, schema.truncateKeySchema, schema.valueSchema].map((definition, index) => [
      index + 1,
      { id: index + 1, definition, type: avroType(definition) },
    ]),
  );
  const encoder = createEventEncoder({
    schema,
    schemaIds: { key: 1, truncateKey: 2, value: 3 },
    headraceVersion: "1.2.3",
  });
  const never = () => Promise.reject(new Error("not asked for"));
  const registry: SchemaRegistry = { register: never, latest: never, schema: never, cached: (id) => schemas.get(id) };
  const change = (key: string, version: number, order: Order | null): Change => {
    const { key: recordKey, value } = encoder.encode({
      op: order === null ? "d" : "u",
      collection: "orders",
      documentKey: serialize({ _id: key }),
      document: order === null ? null : serialize(withInt32({ _id: key, ...order })),
      version: BigInt(version),
    });
    return decodeRecord(registry, recordKey, value) as Change;
  };
  return { schema, change };
}

function withInt32<T>(value: T): T {
  if (typeof value === "number") return new Int32(value) as T;
  if (Array.isArray(value)) return value.map(withInt32) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withInt32(each)])) as T;
}

/** Rows as arrays of texts: the key, positions, columns, `_extra` as a parsed value. */
export interface OrderRows {
  readonly orders: readonly unknown[][];
  readonly orders_items: readonly unknown[][];
  readonly orders_items_taxes: readonly unknown[][];
  readonly orders_tags: readonly unknown[][];
}

/** What the tables must have for these documents. */
export function expectedRows(
  orders: ReadonlyMap<string, Order>,
  children: readonly string[] = ["items", "tags"],
): OrderRows {
  const rows = {
    orders: [] as unknown[][],
    orders_items: [] as unknown[][],
    orders_items_taxes: [] as unknown[][],
    orders_tags: [] as unknown[][],
  };
  for (const [key, order] of orders) {
    const { status, cart: found, tags, ...rest } = order;
    const extra: Record<string, unknown> = { ...rest };
    if (status !== undefined && status !== null && typeof status !== "string") extra["status"] = status;
    const isCart = typeof found === "object" && found !== null && !Array.isArray(found);
    const items = isCart ? (found as Order)["items"] : undefined;
    const holdsItems = children.includes("items") && (items === null || Array.isArray(items));
    if (found !== undefined) {
      const { items: _, ...cartRest } = isCart ? (found as Order) : {};
      const remaining = isCart ? (holdsItems ? cartRest : found) : found;
      // A sub-document that the children hold entirely is not in `_extra`; an empty one is.
      if (!isCart || Object.keys(remaining as object).length > 0 || !holdsItems) extra["cart"] = remaining;
    }
    const holdsTags = children.includes("tags") && (tags === null || Array.isArray(tags));
    if (tags !== undefined && !holdsTags) extra["tags"] = tags;
    rows.orders.push([key, typeof status === "string" ? status : null, extraOf(extra)]);
    if (holdsItems)
      for (const [index, each] of ((items as unknown[] | null) ?? []).entries()) pushItem(rows, key, index, each);
    if (holdsTags) {
      for (const [index, tag] of ((tags as unknown[] | null) ?? []).entries())
        rows.orders_tags.push([
          key,
          String(index),
          typeof tag === "string" ? tag : null,
          typeof tag === "string" || tag === null ? null : canonical(tag),
        ]);
    }
  }
  return rows;
}

function pushItem(
  rows: Pick<OrderRows, "orders_items" | "orders_items_taxes">,
  key: string,
  index: number,
  item_: unknown,
): void {
  const place = [key, String(index)];
  if (typeof item_ !== "object" || item_ === null || Array.isArray(item_)) {
    (rows.orders_items as unknown[][]).push([...place, null, null, canonical(item_)]);
    return;
  }
  const { sku, qty, taxes, ...extra } = item_ as Record<string, unknown>;
  if (sku !== undefined && sku !== null && typeof sku !== "string") extra["sku"] = sku;
  if (qty !== undefined && qty !== null && typeof qty !== "number") extra["qty"] = qty;
  const holdsTaxes = taxes === null || Array.isArray(taxes);
  if (taxes !== undefined && !holdsTaxes) extra["taxes"] = taxes;
  (rows.orders_items as unknown[][]).push([
    ...place,
    typeof sku === "string" ? sku : null,
    typeof qty === "number" ? String(qty) : null,
    extraOf(extra),
  ]);
  if (holdsTaxes)
    for (const [inner, tax_] of ((taxes as unknown[] | null) ?? []).entries())
      pushTax(rows, [...place, String(inner)], tax_);
}

function pushTax(rows: Pick<OrderRows, "orders_items_taxes">, place: string[], tax_: unknown): void {
  if (typeof tax_ !== "object" || tax_ === null) {
    (rows.orders_items_taxes as unknown[][]).push([...place, null, null, canonical(tax_)]);
    return;
  }
  const { name, rate, ...extra } = tax_ as Record<string, unknown>;
  if (name !== undefined && name !== null && typeof name !== "string") extra["name"] = name;
  if (rate !== undefined && rate !== null && typeof rate !== "number") extra["rate"] = rate;
  (rows.orders_items_taxes as unknown[][]).push([
    ...place,
    typeof name === "string" ? name : null,
    typeof rate === "number" ? String(rate) : null,
    extraOf(extra),
  ]);
}

function extraOf(rest: Record<string, unknown>): unknown {
  return Object.keys(rest).length === 0 ? null : canonical(rest);
}

/** Canonical Extended JSON; the JSON null in a wrapper, because SQL's NULL is null. */
function canonical(value: unknown): unknown {
  if (value === null) return JSON_NULL;
  return JSON.parse(EJSON.stringify(withInt32({ v: value }), { relaxed: false })).v as unknown;
}

export const JSON_NULL = { jsonNull: true };
