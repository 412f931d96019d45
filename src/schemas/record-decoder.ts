import type { Resolver, Type } from "avsc";
import { z } from "zod";
import { avroType } from "./avro-type.ts";
import type { IdType } from "./collection-schema.ts";
import { parseColumnType } from "./column-type.ts";
import { type ToColumnValue, columnValueOf } from "./column-value.ts";
import { ContractError } from "./contract-error.ts";
import type { RegisteredSchema, SchemaRegistry } from "./registry.ts";
import type { Change, ColumnValue, RowSchema } from "./row-schema.ts";
import { HEADER_BYTES, TRUNCATE_KEY } from "./topics.ts";

/**
 * Reads a record of the log: null for a Kafka tombstone. Synchronous where its schemas are cached. A RowSchema is
 * one object for each registered value schema.
 * @throws ContractError RECORD_UNDECODABLE for anything that Headrace did not write; SCHEMA_UNKNOWN,
 *   REGISTRY_UNAVAILABLE, REGISTRY_UNEXPECTED from the registry.
 */
export function decodeRecord(
  registry: SchemaRegistry,
  key: Buffer | null,
  value: Buffer | null,
): Change | null | Promise<Change | null> {
  if (value === null) return null;
  if (key === null) throw keyUndecodable("it has none");
  const valueId = schemaId(value, undecodable);
  const keyId = key.equals(TRUNCATE_KEY) ? undefined : schemaId(key, keyUndecodable);
  const valueSchema = registry.cached(valueId);
  const keySchema = keyId === undefined ? undefined : registry.cached(keyId);
  if (valueSchema !== undefined && keySchema?.id === keyId) return decode(keySchema, key, valueSchema, value);
  return fetchAndDecode(registry, keyId, key, valueId, value);
}

async function fetchAndDecode(
  registry: SchemaRegistry,
  keyId: number | undefined,
  key: Buffer,
  valueId: number,
  value: Buffer,
): Promise<Change> {
  const keySchema = keyId === undefined ? undefined : await registry.schema(keyId).catch(ofKey);
  return decode(keySchema, key, await registry.schema(valueId), value);
}

/** A value of the reader's type: an envelope without what nobody reads. */
interface Envelope {
  /** In the order of the columns, `_id` first. */
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly source: { readonly cluster_time: bigint };
  readonly op: string;
}

interface ValueReader {
  readonly rowSchema: RowSchema;
  readonly toColumnValues: readonly ToColumnValue[];
  readonly type: Type;
  readonly resolver: Resolver;
}

const valueReaders = new WeakMap<Type, ValueReader>();
const keyIdTypes = new WeakMap<Type, IdType>();

/** @param keySchema undefined for the key of a truncate event */
function decode(
  keySchema: RegisteredSchema | undefined,
  key: Buffer,
  valueSchema: RegisteredSchema,
  value: Buffer,
): Change {
  const reader = remembered(valueReaders, valueSchema, valueReader);
  const { rowSchema } = reader;
  try {
    const envelope = reader.type.fromBuffer(value.subarray(HEADER_BYTES), reader.resolver) as Envelope;
    const { op } = envelope;
    const version = envelope.source.cluster_time;
    if (!isOperation(op) || version < 0n) throw new TypeError(`op or source.cluster_time makes no sense`);
    if ((op === "t") !== (keySchema === undefined)) throw new TypeError("the key of op t is used with another");
    if ((op === "t" || op === "d") !== (envelope.after === null)) throw new TypeError("after does not fit op");
    const id = keySchema === undefined ? "" : decodeKey(keySchema, rowSchema.idType, key);
    const values = envelope.after === null ? null : toColumnValues(reader, envelope.after, id);
    return { op, rowSchema, key: String(id), version, values };
  } catch (error) {
    if (error instanceof ContractError) throw error;
    throw undecodable("its bytes are not what its schema says", error);
  }
}

function decodeKey(schema: RegisteredSchema, idType: IdType, key: Buffer): string | bigint {
  if (remembered(keyIdTypes, schema, keyIdType) !== idType)
    throw undecodable("its key has another id type than its value");
  try {
    return (schema.type.fromBuffer(key.subarray(HEADER_BYTES)) as { _id: string | bigint })._id;
  } catch (error) {
    throw keyUndecodable("its bytes are not what its schema says", error);
  }
}

function toColumnValues(
  reader: ValueReader,
  after: Readonly<Record<string, unknown>>,
  id: string | bigint,
): ColumnValue[] {
  const decoded = Object.values(after);
  if (decoded[0] !== id) throw new TypeError("key and value have different _ids");
  return reader.toColumnValues.map((toColumnValue, index) => toColumnValue(decoded[index + 1]));
}

function isOperation(op: string): op is Change["op"] {
  return op === "c" || op === "u" || op === "d" || op === "r" || op === "t";
}

/** The Confluent header: a zero byte and the id of the schema. */
function schemaId(bytes: Buffer, failure: (why: string) => ContractError): number {
  if (bytes.length <= HEADER_BYTES || bytes[0] !== 0) throw failure("it does not begin with a schema id");
  return bytes.readInt32BE(1);
}

const idType = z.enum(["objectId", "string", "integer", "uuid", "mixed"]);

const keyDefinition = z.object({ "headrace.idType": idType, fields: z.tuple([z.object({ name: z.literal("_id") })]) });

const valueField = z.object({
  name: z.string(),
  type: z.unknown(),
  "headrace.column": z.string(),
  "headrace.type": z.string(),
});

const envelopeDefinition = z.object({
  name: z.string(),
  namespace: z.string(),
  fields: z.tuple(
    [
      z.object({
        name: z.literal("before"),
        type: z.tuple([
          z.literal("null"),
          z.object({
            name: z.string(),
            fields: z.tuple([z.looseObject({ name: z.literal("_id"), "headrace.idType": idType })], valueField),
          }),
        ]),
      }),
    ],
    z.looseObject({}),
  ),
});

function keyIdType({ id, definition }: RegisteredSchema): IdType {
  const parsed = keyDefinition.safeParse(definition);
  if (!parsed.success) throw keyUndecodable(`schema ${id} is not one of Headrace's keys`, parsed.error);
  return parsed.data["headrace.idType"];
}

function valueReader({ id, definition, type: writerType }: RegisteredSchema): ValueReader {
  const parsed = envelopeDefinition.safeParse(definition);
  if (!parsed.success) throw undecodable(`schema ${id} is not one of Headrace's values`, parsed.error);
  const { name, namespace, fields } = parsed.data;
  const value = fields[0].type[1];
  const [idField, ...valueFields] = value.fields;
  try {
    const types = valueFields.map((field) => parseColumnType(field["headrace.type"]));
    const type = avroType({
      type: "record",
      name,
      namespace,
      fields: [
        { name: "after", type: ["null", { type: "record", ...value }] },
        {
          name: "source",
          type: { type: "record", name: "Source", fields: [{ name: "cluster_time", type: "long" }] },
        },
        { name: "op", type: "string" },
      ],
    });
    const columns = valueFields.map((field, index) => ({
      name: field["headrace.column"],
      sqlType: types[index]?.sql ?? "",
    }));
    return {
      rowSchema: { idType: idField["headrace.idType"], columns },
      toColumnValues: types.map(columnValueOf),
      type,
      resolver: type.createResolver(writerType),
    };
  } catch (error) {
    throw undecodable(`schema ${id} is not one of Headrace's values`, error);
  }
}

function remembered<T>(memory: WeakMap<Type, T>, schema: RegisteredSchema, make: (schema: RegisteredSchema) => T): T {
  const before = memory.get(schema.type);
  if (before !== undefined) return before;
  const made = make(schema);
  memory.set(schema.type, made);
  return made;
}

/** What the registry says of a schema, said of that of a key. */
function ofKey(error: unknown): never {
  if (!(error instanceof ContractError) || error.code !== "RECORD_UNDECODABLE") throw error;
  throw keyUndecodable("its schema is not of Headrace's Avro", error);
}

function keyUndecodable(why: string, cause?: unknown): ContractError {
  return new ContractError("KEY_UNDECODABLE", { message: `The key of a record cannot be decoded: ${why}.` }, cause);
}

function undecodable(why: string, cause?: unknown): ContractError {
  return new ContractError(
    "RECORD_UNDECODABLE",
    {
      message: `A record of the topic cannot be decoded: ${why}.`,
    },
    cause,
  );
}
