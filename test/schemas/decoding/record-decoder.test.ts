import { Long, serialize } from "bson";
import { describe, expect, it } from "vitest";
import { HeadraceError } from "../../../src/errors/error.ts";
import { decodeRecord } from "../../../src/schemas/decoding/record-decoder.ts";
import { createEventEncoder } from "../../../src/schemas/encoding/event-encoder.ts";
import { avroType } from "../../../src/schemas/formats/avro-type.ts";
import { collectionSchema } from "../../../src/schemas/mapping/collection-schema.ts";
import { parseColumnType } from "../../../src/schemas/mapping/column-type.ts";
import type { ColumnMapping, IdType } from "../../../src/schemas/mapping/mapping.ts";
import { OLD_TRUNCATE_KEY } from "../../../src/schemas/topics.ts";
import { cellsOf } from "../../support/cells.ts";
import { MemoryRegistry } from "./memory-registry.ts";

const VERSION = (1_700_000_000n << 32n) | 7n;
const COLUMNS = ["name", "a name.with$dots", "0"];

function productSchema(idType: IdType, columns: readonly string[] = COLUMNS, sql = "text") {
  const mappings = columns.map((name): ColumnMapping => ({ name, path: [name], type: parseColumnType(sql) }));
  return collectionSchema(
    { collection: "products", mode: "columns", columns: mappings, children: [], idType },
    idType,
    {
      name: "shop",
      database: "shop",
      topic: "shop.shop.products",
    },
  );
}

function framed(id: number, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.writeInt32BE(id, 1);
  return Buffer.concat([header, body]);
}

interface Parts {
  readonly idType?: IdType;
  readonly id?: unknown;
  readonly op?: string;
  readonly after?: Record<string, unknown> | null;
  readonly version?: bigint;
}

/** A registry, and a record that avsc has encoded with schemas from it. */
function record({
  idType = "string",
  id = idType === "integer" ? 7n : "k",
  op = "c",
  after = {},
  version = VERSION,
}: Parts = {}) {
  const { keySchema, truncateKeySchema, valueSchema } = productSchema(idType);
  const memory = new MemoryRegistry();
  const keyId = memory.add(keySchema);
  const valueId = memory.add(valueSchema);
  const truncateKeyId = memory.add(truncateKeySchema);
  const nothing = { name: null, a_u0020name_u002ewith_u0024dots: null, _u0030: null, _extra: null };
  const envelope = {
    before: null,
    after: after === null ? null : { _id: id, ...nothing, ...after },
    source: {
      version: "0.1.0",
      connector: "mongodb",
      name: "shop",
      ts_ms: 1_700_000_000_000n,
      snapshot: "false",
      db: "shop",
      collection: "products",
      cluster_time: version,
    },
    op,
    ts_ms: 1n,
  };
  return {
    memory,
    registry: memory.reader(),
    key: framed(keyId, avroType(keySchema).toBuffer({ _id: id })),
    truncateKey: framed(truncateKeyId, avroType(truncateKeySchema).toBuffer({ _id: null })),
    value: framed(valueId, avroType(valueSchema).toBuffer(envelope)),
  };
}

const keyUndecodable = expect.objectContaining({ code: "KEY_UNDECODABLE", kind: "poison" });
const undecodable = expect.objectContaining({ code: "RECORD_UNDECODABLE", kind: "poison" });

describe("a record that the producer wrote", () => {
  it("becomes a change with the original names of its columns", async () => {
    const after = { name: "x", a_u0020name_u002ewith_u0024dots: "y", _extra: '{"z":1}' };
    const { registry, key, value } = record({ op: "u", after });
    expect(await decodeRecord(registry, key, value)).toEqual({
      op: "u",
      rowSchema: {
        idType: "string",
        columns: [...COLUMNS.map((name) => ({ name, sqlType: "text" })), { name: "_extra", sqlType: "jsonb" }],
        children: [],
      },
      key: "k",
      version: VERSION,
      cells: cellsOf(["x", "y", null, '{"z":1}']),
      children: [],
    });
  });

  it("is decoded synchronously if its schemas are known", async () => {
    const { registry, key, value } = record();
    const first = decodeRecord(registry, key, value);
    expect(first).toBeInstanceOf(Promise);
    const change = await first;
    const second = decodeRecord(registry, key, value);
    expect(second).not.toBeInstanceOf(Promise);
    expect(second).toEqual(change);
  });

  it("shares its RowSchema with all records of the same value schema, and only with those", async () => {
    const { memory, registry, key, value } = record();
    const first = await decodeRecord(registry, key, value);
    const second = await decodeRecord(registry, key, value);
    expect(second?.rowSchema).toBe(first?.rowSchema);
    const again = memory.add(productSchema("string").keySchema);
    const third = await decodeRecord(registry, framed(again, key.subarray(5)), value);
    expect(third?.rowSchema).toBe(first?.rowSchema);
    const other = memory.add(productSchema("string").valueSchema);
    const fourth = await decodeRecord(registry, key, framed(other, value.subarray(5)));
    expect(fourth?.rowSchema).not.toBe(first?.rowSchema);
    expect(fourth).toEqual(first);
  });

  it("may be a delete", async () => {
    const { registry, key, value } = record({ op: "d", after: null });
    expect(await decodeRecord(registry, key, value)).toMatchObject({
      op: "d",
      key: "k",
      version: VERSION,
      cells: null,
    });
  });

  it.each<IdType>(["integer", "uuid", "string"])("may be a truncate, of version 0.1.0, too (%s)", async (idType) => {
    const { registry, truncateKey, value } = record({ op: "t", after: null, idType });
    for (const key of [truncateKey, OLD_TRUNCATE_KEY])
      expect(await decodeRecord(registry, key, value)).toMatchObject({
        op: "t",
        key: "",
        cells: null,
        rowSchema: { idType },
      });
  });

  it("may be a Kafka tombstone, which is decoded to null", () => {
    const { registry, key } = record();
    expect(decodeRecord(registry, key, null)).toBeNull();
    expect(decodeRecord(registry, null, null)).toBeNull();
  });

  it.each<[IdType, unknown, string]>([
    ["integer", -(2n ** 63n), "-9223372036854775808"],
    ["uuid", "6570a1b2-c3d4-4e5f-8601-23456789abcd", "6570a1b2-c3d4-4e5f-8601-23456789abcd"],
    ["objectId", "6570a1b2c3d4e5f601234567", "6570a1b2c3d4e5f601234567"],
    ["mixed", '{"$numberLong":"7"}', '{"$numberLong":"7"}'],
  ])("has its key as text (%s)", async (idType, id, text) => {
    const { registry, key, value } = record({ idType, id });
    expect(await decodeRecord(registry, key, value)).toMatchObject({ key: text, rowSchema: { idType } });
  });

  it("can be what the encoder writes", async () => {
    const schema = productSchema("integer", ["n"], "bigint");
    const memory = new MemoryRegistry();
    const schemaIds = {
      key: memory.add(schema.keySchema),
      truncateKey: memory.add(schema.truncateKeySchema),
      value: memory.add(schema.valueSchema),
    };
    const encoder = createEventEncoder({ schema, schemaIds, headraceVersion: "0.0.0" });
    const document = serialize({ _id: 7, n: Long.MAX_VALUE, more: true });
    const event = { op: "r", collection: "products", documentKey: document, document, version: VERSION } as const;
    const { key, value } = encoder.encode(event);
    expect(await decodeRecord(memory.reader(), key, value)).toMatchObject({
      op: "r",
      key: "7",
      version: VERSION,
      cells: cellsOf(["9223372036854775807", '{"more":true}']),
    });
    const deleted = encoder.encode({ ...event, op: "d", document: null });
    expect(await decodeRecord(memory.reader(), deleted.key, deleted.value)).toMatchObject({ op: "d", key: "7" });
    const truncate = encoder.encode({ op: "t", collection: "products", version: VERSION });
    expect(await decodeRecord(memory.reader(), truncate.key, truncate.value)).toMatchObject({
      op: "t",
      version: VERSION,
    });
  });

  it("may have a column type that was widened by a union branch", async () => {
    const { keySchema, valueSchema } = productSchema("string", ["n"], "numeric");
    const widened = JSON.parse(
      JSON.stringify(valueSchema).replace('"null",{"type":"string"', '"null","long",{"type":"string"'),
    ) as unknown;
    const memory = new MemoryRegistry();
    const [keyId, valueId] = [memory.add(keySchema), memory.add(widened)];
    const { key, value } = record();
    const envelope = avroType(productSchema("string").valueSchema).fromBuffer(value.subarray(5)) as Record<
      string,
      unknown
    >;
    for (const [n, text] of [
      [7n, "7"],
      ["7.5", "7.5"],
    ]) {
      const bytes = avroType(widened).toBuffer({ ...envelope, after: { _id: "k", n, _extra: null } });
      const change = await decodeRecord(memory.reader(), framed(keyId, key.subarray(5)), framed(valueId, bytes));
      expect(change?.cells).toEqual(cellsOf([text as string, null]));
    }
  });
});

describe("a record that Headrace did not write", () => {
  const good = record({ after: { name: "x" } });

  it.each<[string, Buffer, Buffer, RegExp]>([
    ["truncated value", good.key, good.value.subarray(0, -1), /its bytes do not match its schema: the bytes end/],
    ["longer key", Buffer.concat([good.key, Buffer.of(0)]), good.value, /key .* schema: there are more bytes/],
  ])("is reported with the reason: %s", async (_what, key, value, reason) => {
    const decoded = async () => await decodeRecord(good.registry, key, value);
    await expect(decoded()).rejects.toThrow(reason);
  });

  it.each<[string, Buffer | null, Buffer]>([
    ["has a value without a schema id", good.key, Buffer.from('{"op":"c"}')],
    ["has an empty value", good.key, Buffer.alloc(0)],
    ["has nothing but a schema id", good.key, good.value.subarray(0, 5)],
    ["has a value that is cut off", good.key, good.value.subarray(0, -1)],
    ["has a value that goes on", good.key, Buffer.concat([good.value, Buffer.from([0])])],
    ["has the key of another document", record({ id: "other" }).key, good.value],
    ["has a key for a value", good.key, good.key],
    ["has the old key of a truncate", OLD_TRUNCATE_KEY, good.value],
    ["has the key of a truncate", good.truncateKey, good.value],
  ])("%s", async (_what, key, value) => {
    const decoded = async () => await decodeRecord(good.registry, key, value);
    await expect(decoded()).rejects.toEqual(undecodable);
  });

  it.each<[string, Buffer | null]>([
    ["is missing", null],
    ["has no schema id", Buffer.from("k")],
    ["is empty", Buffer.alloc(0)],
    ["is cut off", good.key.subarray(0, -1)],
    ["goes on", Buffer.concat([good.key, Buffer.from([0])])],
    ["is a value", good.value],
  ])("because its key %s", async (_what, key) => {
    const decoded = async () => await decodeRecord(good.registry, key, good.value);
    await expect(decoded()).rejects.toEqual(keyUndecodable);
  });

  it.each<[string, Parts]>([
    ["an op that there is not", { op: "x" }],
    ["a negative version", { version: -1n }],
    ["an insert without a document", { op: "c", after: null }],
    ["a delete with a document", { op: "d" }],
    ["a truncate with a document's key", { op: "t", after: null }],
  ])("has %s", async (_what, parts) => {
    const { registry, key, value } = record(parts);
    await expect(decodeRecord(registry, key, value)).rejects.toEqual(undecodable);
  });

  it("has a key and a value with different _id types", async () => {
    const { memory, registry, value } = record();
    const { keySchema } = productSchema("mixed");
    const key = framed(memory.add(keySchema), avroType(keySchema).toBuffer({ _id: "k" }));
    await expect(decodeRecord(registry, key, value)).rejects.toEqual(undecodable);
  });

  it("was written by another program", async () => {
    const { memory, registry, key, value } = record();
    const definition = { type: "record", name: "Other", fields: [{ name: "x", type: "string" }] };
    const foreign = framed(memory.add(definition), avroType(definition).toBuffer({ x: "y" }));
    await expect(decodeRecord(registry, key, foreign)).rejects.toEqual(undecodable);
    await expect(decodeRecord(registry, foreign, value)).rejects.toEqual(keyUndecodable);
    const notAvro = {
      ...memory.reader(),
      cached: () => undefined,
      schema: (id: number) =>
        id === 99
          ? Promise.reject(new HeadraceError("RECORD_UNDECODABLE", { message: "not Avro" }))
          : memory.reader().schema(id),
    };
    await expect(decodeRecord(notAvro, framed(99, key.subarray(5)), value)).rejects.toEqual(keyUndecodable);
  });

  it("has a schema whose column types contradict its Avro types", async () => {
    const { keySchema, valueSchema } = productSchema("string");
    const lying = JSON.parse(JSON.stringify(valueSchema).replaceAll('"text"', '"text[]"')) as unknown;
    const memory = new MemoryRegistry();
    const [keyId, valueId] = [memory.add(keySchema), memory.add(lying)];
    const [key, value] = [framed(keyId, good.key.subarray(5)), framed(valueId, good.value.subarray(5))];
    const decoded = async () => await decodeRecord(memory.reader(), key, value);
    await expect(decoded()).rejects.toEqual(undecodable);
  });

  it("has a schema that the registry does not know, which may change", async () => {
    const { registry, key, value } = record();
    await expect(decodeRecord(registry, key, framed(99, value.subarray(5)))).rejects.toMatchObject({
      code: "SCHEMA_UNKNOWN",
    });
    await expect(decodeRecord(registry, framed(99, key.subarray(5)), value)).rejects.toMatchObject({
      code: "SCHEMA_UNKNOWN",
    });
  });
});
