// Pipelines of version 0.1.0 go on, and a topic has records of both versions.
import avsc from "avsc";
import { describe, expect, it } from "vitest";
import { versionOf } from "../../../src/schemas/change-event.ts";
import type { AvroRecord } from "../../../src/schemas/mapping/envelope.ts";
import { OLD_TYPES, oldKeySchema, oldValueSchema } from "../../support/schemas-of-0-1-0.ts";
import { columnOf, columnsOf, createTestEncoder, ID_FIELD } from "../encoding/encoding.ts";
import { type Bson, decimal, documentBytes, field } from "../formats/bson-model.ts";

const NAMESPACE = "shop.db.products";
const { numeric: price, integer: n } = OLD_TYPES;
const OLD_VALUE = oldValueSchema(NAMESPACE, "string", { price, n });

/** Longs are numbers, and the schema is the registered text. */
function typeOf(definition: object): avsc.Type {
  return avsc.Type.forSchema(JSON.parse(JSON.stringify(definition)) as avsc.Schema, { wrapUnions: "never" });
}

function newRecord() {
  const { encoder, schema } = createTestEncoder(columnsOf({ price: "numeric(10,2)", n: "integer" }), "objectId");
  const document = documentBytes([ID_FIELD, field("price", decimal("1.50")), field("n", { type: "int32", value: 7 })]);
  const event = { op: "r", collection: "products", documentKey: document, document, snapshot: "last" } as const;
  // avsc's own longs are exact up to 2^53.
  const { value } = encoder.encode({ ...event, version: versionOf(1, 5) });
  return { schema, bytes: value.subarray(5) };
}

function read(reader: avsc.Type, writer: avsc.Type, bytes: Buffer): unknown {
  return reader.fromBuffer(bytes, reader.createResolver(writer));
}

describe("the schemas of version 0.1.0 and of today", () => {
  it("are read by each other's readers", () => {
    const { schema, bytes } = newRecord();
    const [old, today] = [typeOf(OLD_VALUE), typeOf(schema.valueSchema)];
    const record = read(old, today, bytes) as { source: object; after: object };
    expect(record).toMatchObject({ op: "r", source: { snapshot: "last", cluster_time: 2 ** 32 + 5, ts_ms: 1_000 } });
    expect(record.after).toMatchObject({ price: "1.50", n: 7, _extra: null });
    expect(record.source).not.toHaveProperty("ts_us");
    const source = { version: "0.1.0", connector: "mongodb", name: "shop", ts_ms: 1_000, snapshot: "true", db: "db" };
    const after = { _id: "a", price: "2.50", n: null, _extra: null };
    const envelope = { before: null, after, source: { ...source, collection: "products", cluster_time: 7 }, op: "r" };
    const again = read(today, old, old.toBuffer({ ...envelope, ts_ms: 1 }));
    expect(again).toMatchObject({ after, source: { ...source, cluster_time: 7, ts_us: null, ord: null } });
  });

  it("hold dates in ms where they are registered so, and in days elsewhere", () => {
    const { date: day, dates: days, text: name } = OLD_TYPES;
    const value = oldValueSchema(NAMESPACE, "string", { day, days, name, moment: OLD_TYPES.date });
    const types = { day: "date", days: "date[]", moment: "date", other: "date", others: "date[]", name: "text" };
    const at = (ms: bigint): Bson => ({ type: "date", value: ms });
    const array: Bson = { type: "array", items: [at(0n), { type: "null" }, at(-86_400_000n)] };
    const fields = ["day", "moment", "other"].map((each) => field(each, at(86_400_000n)));
    const document = [...fields, field("days", array), field("others", array), field("name", decimal("1"))];
    const encoder = createTestEncoder(columnsOf(types), "objectId", "replace", { value });
    expect(encoder.encode(document)).toMatchObject({
      envelope: {
        after: {
          day: 86_400_000n,
          days: [0n, null, -86_400_000n],
          moment: 86_400_000n,
          other: 1,
          others: [0, null, -1],
        },
      },
      misfits: ["name"],
    });
    expect(
      encoder.schema.fields.filter(({ column }) => column.startsWith("da")).map(({ avroType }) => avroType),
    ).toEqual([day[0], days[0]]);
  });

  it.each([undefined, null, "string", {}, { fields: [] }, { fields: [null, { name: "before", type: "null" }] }])(
    "are not needed: another program's schema may be registered: %j",
    (value) => {
      const encoder = createTestEncoder(columnsOf({ day: "date" }), "objectId", "replace", { key: value, value });
      expect(columnOf(encoder.encode([field("day", { type: "date", value: 0n })]), "day")).toBe(0);
    },
  );

  it("have the same keys, so that the registry has nothing to refuse", () => {
    const { schema } = createTestEncoder(undefined, "string");
    const withoutDocs = (definition: AvroRecord) => typeOf(definition).schema({ exportAttrs: false });
    expect(withoutDocs(schema.keySchema)).toEqual(withoutDocs(oldKeySchema(NAMESPACE, "string") as AvroRecord));
  });
});
