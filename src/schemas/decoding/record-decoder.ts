import type { Type } from "avsc";
import { HeadraceError } from "../../errors/error.ts";
import { AvroReader } from "../formats/avro-reader.ts";
import type { RegisteredSchema, SchemaRegistry } from "../registry/registry.ts";
import type { Change } from "../row-schema.ts";
import { HEADER_BYTES, TRUNCATE_KEY } from "../topics.ts";
import { CellWriter } from "./cells.ts";
import { type EnvelopeReader, envelopeReader } from "./envelope-reader.ts";
import { type KeyReader, keyReader } from "./key-reader.ts";

/**
 * Reads a record of the log: null for a Kafka tombstone. Synchronous where its schemas are cached. A RowSchema is
 * one object for each registered value schema.
 * @throws HeadraceError RECORD_UNDECODABLE for anything that Headrace did not write; SCHEMA_UNKNOWN,
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

const keyReaders = new WeakMap<Type, KeyReader>();
const envelopeReaders = new WeakMap<Type, EnvelopeReader>();
const avro = new AvroReader();
const cells = new CellWriter();

/** @param keySchema undefined for the key of a truncate event */
function decode(
  keySchema: RegisteredSchema | undefined,
  key: Buffer,
  valueSchema: RegisteredSchema,
  value: Buffer,
): Change {
  const { rowSchema, readEnvelope } = remembered(envelopeReaders, valueSchema, envelopeReader, undecodable);
  const { op, version, id } = reading(value, undecodable, () => readEnvelope(avro, cells));
  if ((op === "t") !== (keySchema === undefined)) throw undecodable("the key of op t is used with another");
  if ((op === "t" || op === "d") !== (id === undefined)) throw undecodable("after does not fit op");
  if (keySchema === undefined) return { op, rowSchema, key: "", version, cells: null };
  const { idType, readKey } = remembered(keyReaders, keySchema, keyReader, keyUndecodable);
  if (idType !== rowSchema.idType) throw undecodable("its key has another id type than its value");
  const text = reading(key, keyUndecodable, () => readKey(avro));
  if (id !== undefined && !areEqual(key, value, id)) throw undecodable("key and value have different _ids");
  return { op, rowSchema, key: text, version, cells: id === undefined ? null : cells.takeRow() };
}

function reading<T>(bytes: Buffer, failure: Failure, read: () => T): T {
  avro.begin(bytes, HEADER_BYTES);
  try {
    return read();
  } catch (error) {
    throw failure("its bytes are not what its schema says", error);
  }
}

/** A key holds nothing but the `_id`, in the same encoding. */
function areEqual(key: Buffer, value: Buffer, id: { readonly start: number; readonly end: number }): boolean {
  if (key.length - HEADER_BYTES !== id.end - id.start) return false;
  for (let index = HEADER_BYTES, at = id.start; at < id.end; index++, at++) if (key[index] !== value[at]) return false;
  return true;
}

/** The Confluent header: a zero byte and the id of the schema. */
function schemaId(bytes: Buffer, failure: Failure): number {
  if (bytes.length <= HEADER_BYTES || bytes[0] !== 0) throw failure("it does not begin with a schema id");
  return bytes.readInt32BE(1);
}

function remembered<T>(
  memory: WeakMap<Type, T>,
  schema: RegisteredSchema,
  make: (schema: RegisteredSchema) => T,
  failure: Failure,
): T {
  const before = memory.get(schema.type);
  if (before !== undefined) return before;
  try {
    const made = make(schema);
    memory.set(schema.type, made);
    return made;
  } catch (error) {
    throw failure(`schema ${schema.id} is not one of Headrace's`, error);
  }
}

/** What the registry says of a schema, said of that of a key. */
function ofKey(error: unknown): never {
  if (!(error instanceof HeadraceError) || error.code !== "RECORD_UNDECODABLE") throw error;
  throw keyUndecodable("its schema is not of Headrace's Avro", error);
}

type Failure = (why: string, cause?: unknown) => HeadraceError;

function keyUndecodable(why: string, cause?: unknown): HeadraceError {
  return new HeadraceError("KEY_UNDECODABLE", { message: `The key of a record cannot be decoded: ${why}.` }, cause);
}

function undecodable(why: string, cause?: unknown): HeadraceError {
  return new HeadraceError(
    "RECORD_UNDECODABLE",
    {
      message: `A record of the topic cannot be decoded: ${why}.`,
    },
    cause,
  );
}
