import { describe, expect, it } from "vitest";
import { versionOf } from "../../../src/schemas/change-event.ts";
import { avroType } from "../../../src/schemas/formats/avro-type.ts";
import { type Bson, decimal, documentBytes, type Field, field, text } from "../formats/bson-model.ts";
import { columnOf, columnsOf, createTestEncoder, ID_FIELD, OBJECT_ID } from "./encoding.ts";

const VERSION = versionOf(1_700_000_000, 5);
const DOCUMENT_KEY = documentBytes([ID_FIELD]);

describe("an event's envelope", () => {
  it("contains the origin of the document and its time", () => {
    const { envelope } = createTestEncoder(columnsOf({ sku: "text" })).encode([field("sku", text("s-1"))]);
    expect(envelope).toEqual({
      before: null,
      after: { _id: OBJECT_ID.toString("hex"), sku: "s-1", _extra: null },
      source: {
        version: "1.2.3",
        connector: "mongodb",
        name: "shop",
        ts_ms: 1_700_000_000_000n,
        snapshot: "false",
        db: "db",
        collection: "products",
        cluster_time: VERSION,
        ts_us: 1_700_000_000_000_000n,
        ord: 5n,
      },
      op: "c",
      ts_ms: 1_700_000_000_001n,
    });
  });

  it("carries the schema ids in Confluent's wire format", () => {
    const { key, value } = createTestEncoder(undefined).encode([]);
    expect([...key.subarray(0, 5)]).toEqual([0, 0, 0, 0, 7]);
    expect(value.readUInt8()).toBe(0);
    expect(value.readInt32BE(1)).toBe(70_000);
  });

  it.each(["c", "u", "r"] as const)("holds the document for %s", (op) => {
    const { decode, encoder } = createTestEncoder(undefined);
    const { envelope } = decode(
      encoder.encode({
        op,
        collection: "products",
        documentKey: DOCUMENT_KEY,
        document: DOCUMENT_KEY,
        version: VERSION,
      }),
    );
    expect(envelope).toMatchObject({ op, source: { snapshot: op === "r" ? "true" : "false" } });
    expect(envelope.after).toEqual({ _id: OBJECT_ID.toString("hex"), doc: `{"_id":"${OBJECT_ID.toString("hex")}"}` });
  });

  it.each(["last", "last_in_data_collection", "incremental"] as const)("says what a snapshot says: %s", (snapshot) => {
    const { decode, encoder } = createTestEncoder(undefined);
    const event = { op: "r", collection: "products", documentKey: DOCUMENT_KEY, document: DOCUMENT_KEY } as const;
    const { envelope } = decode(encoder.encode({ ...event, version: VERSION, snapshot }));
    expect(envelope.source.snapshot).toBe(snapshot);
  });

  it.each([
    [1n, 0n, 1n],
    [versionOf(2_147_483_647, 4_294_967_295), 2_147_483_647_000_000n, 4_294_967_295n],
    [versionOf(1_700_000_000, 2_147_483_648), 1_700_000_000_000_000n, 2_147_483_648n],
  ])("has the source's time in microseconds, and the order within its second: %s", (version, micros, ord) => {
    const { decodeValue, encoder } = createTestEncoder(undefined);
    const { value } = encoder.encode({ op: "t", collection: "products", version });
    expect(decodeValue(value).source).toMatchObject({ cluster_time: version, ts_us: micros, ord });
  });

  it("contains no document for a delete, but its _id and otherwise nulls in before", () => {
    const { decode, encoder } = createTestEncoder(columnsOf({ sku: "text" }));
    const event = decode(
      encoder.encode({ op: "d", collection: "products", documentKey: DOCUMENT_KEY, document: null, version: VERSION }),
    );
    expect(event.envelope).toMatchObject({ op: "d", after: null, source: { cluster_time: VERSION } });
    expect(event.envelope.before).toEqual({ _id: OBJECT_ID.toString("hex"), sku: null, _extra: null });
    expect(event.decodedKey).toEqual({ _id: OBJECT_ID.toString("hex") });
    expect(event.misfits).toEqual([]);
  });

  it("has a key without an _id for a truncate", () => {
    const { decodeValue, encoder, schema } = createTestEncoder(undefined);
    const { key, value, misfits } = encoder.encode({ op: "t", collection: "products", version: VERSION });
    const { truncateKeySchema } = schema;
    expect([...key.subarray(0, 5)]).toEqual([0, 0, 0, 0, 8]);
    expect(avroType(truncateKeySchema).fromBuffer(key.subarray(5))).toEqual({ _id: null });
    expect(decodeValue(value)).toMatchObject({ op: "t", before: null, after: null, source: { cluster_time: VERSION } });
    expect(misfits).toEqual([]);
  });

  it("accepts plain Uint8Arrays, also a part of a larger buffer", () => {
    const bytes = documentBytes([ID_FIELD, field("sku", text("s-1"))]);
    const larger = new Uint8Array(bytes.length + 9);
    larger.set(bytes, 5);
    const { decode, encoder } = createTestEncoder(columnsOf({ sku: "text" }));
    const document = larger.subarray(5, 5 + bytes.length);
    const event = decode(
      encoder.encode({ op: "c", collection: "products", documentKey: document, document, version: VERSION }),
    );
    expect(columnOf(event, "sku")).toBe("s-1");
  });
});

describe("an event's key", () => {
  const CASES: readonly ["objectId" | "string" | "integer" | "uuid" | "mixed", Bson, unknown][] = [
    ["objectId", { type: "objectId", bytes: OBJECT_ID }, OBJECT_ID.toString("hex")],
    ["string", text("ü€😀"), "ü€😀"],
    ["integer", { type: "int64", value: -9_223_372_036_854_775_808n }, -9_223_372_036_854_775_808n],
    ["integer", { type: "double", value: 7 }, 7n],
    ["uuid", { type: "binary", subtype: 4, bytes: Buffer.alloc(16, 0xab) }, "abababab-abab-abab-abab-abababababab"],
    ["mixed", { type: "int32", value: 7 }, '{"$numberLong":"7"}'],
  ];

  it.each(CASES)("of type %s is the same in the key and in the value", (idType, id, expected) => {
    const { decode, encoder } = createTestEncoder(undefined, idType);
    const document = documentBytes([field("_id", id)]);
    const event = decode(
      encoder.encode({ op: "c", collection: "products", documentKey: document, document, version: VERSION }),
    );
    expect(event.decodedKey).toEqual({ _id: expected });
    expect(event.envelope.after?._id).toEqual(expected);
  });

  it("makes a dead letter if it has another type than the collection's", () => {
    const { encoder } = createTestEncoder(undefined, "integer");
    const encode = () =>
      encoder.encode({ op: "d", collection: "products", documentKey: DOCUMENT_KEY, document: null, version: VERSION });
    expect(encode).toThrow(expect.objectContaining({ code: "ID_TYPE_MISMATCH", kind: "poison" }));
  });

  it("makes a dead letter if it contains a NUL, because two keys could become the same", () => {
    const { encoder } = createTestEncoder(undefined, "string");
    const documentKey = documentBytes([field("_id", text("a\0"))]);
    expect(() =>
      encoder.encode({ op: "d", collection: "products", documentKey, document: null, version: VERSION }),
    ).toThrow(expect.objectContaining({ code: "KEY_INVALID", kind: "poison" }));
  });
});

describe("a large document", () => {
  const MEGABYTES_16 = 16 * 1024 * 1024 - 200;

  it.each(["text", "bytea", "jsonb"])("with one value of 16 MB fits a column of type %s", (type) => {
    const encoder = createTestEncoder(columnsOf({ large: type }));
    const utf8 = Buffer.alloc(MEGABYTES_16, "0123456789 ü");
    const value: Bson = type === "bytea" ? { type: "binary", subtype: 0, bytes: utf8 } : { type: "string", utf8 };
    const held = columnOf(encoder.encode([field("large", value)]), "large");
    const bytes =
      type === "bytea" ? (held as Buffer) : Buffer.from(type === "jsonb" ? JSON.parse(held as string) : held);
    expect(bytes.equals(utf8)).toBe(true);
  });

  it("goes to _extra and to doc, and does not affect the next document", () => {
    const small = [field("sku", text("s-1"))];
    const large = [field("large", { type: "binary", subtype: 0, bytes: Buffer.alloc(MEGABYTES_16, 7) }), ...small];
    for (const columns of [columnsOf({ sku: "text" }), undefined]) {
      const encoder = createTestEncoder(columns);
      const event = encoder.encode(large);
      const json = JSON.parse(columnOf(event, columns === undefined ? "doc" : "_extra") as string) as {
        large: unknown;
      };
      const base64 = (
        columns === undefined ? json.large : (json.large as { $binary: { base64: string } }).$binary.base64
      ) as string;
      expect(Buffer.from(base64, "base64").equals(Buffer.alloc(MEGABYTES_16, 7))).toBe(true);
      expect(encoder.encode(small).value).toEqual(createTestEncoder(columns).encode(small).value);
      expect(event.value.subarray(5).equals(event.avscBytes)).toBe(true);
    }
  });

  it("with nothing but ill-formed text is repaired in one pass", () => {
    const event = createTestEncoder(columnsOf({ large: "text" })).encode([
      field("large", { type: "string", utf8: Buffer.alloc(4_000_000) }),
    ]);
    expect(columnOf(event, "large")).toBe("\ufffd".repeat(4_000_000));
    expect(event.misfits).toEqual(["large"]);
  });

  it("with 200,000 fields keeps the last of duplicate names", () => {
    const fields: Field[] = Array.from({ length: 200_000 }, (_, index) =>
      field(`f${index % 150_000}`, { type: "int32", value: index }),
    );
    const doc = JSON.parse(columnOf(createTestEncoder(undefined).encode(fields), "doc") as string) as Record<
      string,
      number
    >;
    expect(Object.keys(doc)).toHaveLength(150_001);
    expect([doc.f0, doc.f49999, doc.f50000]).toEqual([150_000, 199_999, 50_000]);
  });

  it("that becomes too large as JSON is a dead letter", () => {
    const items = Array<Bson>(400_000).fill(decimal("9E+390"));
    expect(() => createTestEncoder(undefined).encode([field("many", { type: "array", items })])).toThrow(
      expect.objectContaining({ code: "DOCUMENT_UNENCODABLE" }),
    );
  });
});

describe("a deeply nested document", () => {
  const nested = (levels: number, wrap: (inner: Bson) => Bson): Bson =>
    Array.from({ length: levels - 1 }).reduce<Bson>((inner) => wrap(inner), { type: "int32", value: 1 });
  const inDocument = (inner: Bson): Bson => ({ type: "document", fields: [field("a", inner)] });
  const inArray = (inner: Bson): Bson => ({ type: "array", items: [inner] });
  const inScope = (inner: Bson): Bson => ({ type: "codeWithScope", utf8: Buffer.from(""), scope: [field("a", inner)] });

  it.each([180, 200])("with %i levels is encoded", (levels) => {
    for (const wrap of [inDocument, inArray, inScope]) {
      for (const columns of [undefined, [], columnsOf({ deep: "jsonb" })]) {
        expect(createTestEncoder(columns).encode([field("deep", nested(levels, wrap))]).misfits).toEqual([]);
      }
    }
  });

  it("with more levels is a dead letter", () => {
    for (const levels of [201, 202, 1000]) {
      for (const wrap of [inDocument, inArray, inScope]) {
        const encode = () =>
          createTestEncoder([]).encodeRaw(documentBytes([ID_FIELD, field("deep", nested(levels + 1, wrap))]));
        expect(encode).toThrow(expect.objectContaining({ code: "DOCUMENT_UNENCODABLE" }));
      }
    }
  });
});
