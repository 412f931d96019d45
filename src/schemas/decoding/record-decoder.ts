import type { Type } from "avsc";
import { HeadraceError } from "../../errors/error.ts";
import { AvroReader } from "../formats/avro-reader.ts";
import type { IdType } from "../mapping/mapping.ts";
import type { RegisteredSchema, SchemaRegistry } from "../registry/registry.ts";
import type { Change } from "../row-schema.ts";
import { HEADER_BYTES, OLD_TRUNCATE_KEY } from "../topics.ts";
import { CellWriter } from "./cells.ts";
import { type EnvelopeReader, envelopeReader } from "./envelope-reader.ts";
import { type KeyReader, keyReader } from "./key-reader.ts";

/**
 * Decodes a record; null for a Kafka tombstone. Returns a promise only if a schema must be fetched from the registry.
 * Records of one registered value schema share one RowSchema object.
 * @throws HeadraceError RECORD_UNDECODABLE or KEY_UNDECODABLE if Headrace did not write the record; SCHEMA_UNKNOWN,
 *   REGISTRY_UNAVAILABLE or REGISTRY_UNEXPECTED from the registry
 */
export function decodeRecord(
  registry: SchemaRegistry,
  key: Buffer | null,
  value: Buffer | null,
): Change | null | Promise<Change | null> {
  if (value === null) return null;
  if (key === null) throw keyUndecodable("it is null");
  const valueId = schemaId(value, undecodable);
  const keyId = key.equals(OLD_TRUNCATE_KEY) ? undefined : schemaId(key, keyUndecodable);
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

/** @param keySchema undefined for `OLD_TRUNCATE_KEY` */
function decode(
  keySchema: RegisteredSchema | undefined,
  key: Buffer,
  valueSchema: RegisteredSchema,
  value: Buffer,
): Change {
  const { rowSchema, readEnvelope } = remembered(envelopeReaders, valueSchema, envelopeReader, undecodable);
  const { op, version, id, children } = reading(value, undecodable, () => readEnvelope(avro, cells));
  if ((op === "t" || op === "d") !== (id === undefined))
    throw undecodable("after must be null for op t and d, and only for those");
  const text = keySchema === undefined ? null : keyText(keySchema, key, rowSchema.idType);
  if ((op === "t") !== (text === null))
    throw undecodable("its key and its op do not match: op t has a key without an _id, no other op has it");
  if (text === null) return { op, rowSchema, key: "", version, cells: null, children };
  if (id !== undefined && !areEqual(key, value, id)) throw undecodable("key and value have different _ids");
  return { op, rowSchema, key: text, version, cells: id === undefined ? null : cells.takeRow(), children };
}

/** Null for the key of a truncate. */
function keyText(keySchema: RegisteredSchema, key: Buffer, valueIdType: IdType): string | null {
  const { idType, readKey } = remembered(keyReaders, keySchema, keyReader, keyUndecodable);
  if (idType !== valueIdType) throw undecodable("key and value have different _id types");
  return reading(key, keyUndecodable, () => readKey(avro));
}

function reading<T>(bytes: Buffer, makeError: MakeError, read: () => T): T {
  avro.begin(bytes, HEADER_BYTES);
  try {
    return read();
  } catch (error) {
    throw makeError(`its bytes do not match its schema${reasonOf(error)}`, error);
  }
}

/** Whether key and value contain the same bytes of `_id`. A key contains nothing else. */
function areEqual(key: Buffer, value: Buffer, id: { readonly start: number; readonly end: number }): boolean {
  if (key.length - HEADER_BYTES !== id.end - id.start) return false;
  for (let index = HEADER_BYTES, at = id.start; at < id.end; index++, at++) if (key[index] !== value[at]) return false;
  return true;
}

/** Reads the Confluent header: a zero byte and the schema's id. */
function schemaId(bytes: Buffer, makeError: MakeError): number {
  if (bytes.length <= HEADER_BYTES || bytes[0] !== 0)
    throw makeError("it does not begin with a zero byte and a schema id");
  return bytes.readInt32BE(1);
}

function remembered<T>(
  memory: WeakMap<Type, T>,
  schema: RegisteredSchema,
  make: (schema: RegisteredSchema) => T,
  makeError: MakeError,
): T {
  const before = memory.get(schema.type);
  if (before !== undefined) return before;
  try {
    const made = make(schema);
    memory.set(schema.type, made);
    return made;
  } catch (error) {
    throw makeError(`its schema (id ${schema.id}) is not one that Headrace writes${reasonOf(error)}`, error);
  }
}

/** Turns the registry's error about a schema into an error about a key. */
function ofKey(error: unknown): never {
  if (!(error instanceof HeadraceError) || error.code !== "RECORD_UNDECODABLE") throw error;
  throw keyUndecodable("its schema is not an Avro schema that Headrace can read", error);
}

/** The readers' own errors are TypeErrors. Their messages never contain a value. */
function reasonOf(error: unknown): string {
  return error instanceof TypeError ? `: ${error.message}` : "";
}

type MakeError = (reason: string, cause?: unknown) => HeadraceError;

function keyUndecodable(reason: string, cause?: unknown): HeadraceError {
  return new HeadraceError("KEY_UNDECODABLE", { message: `The key of a record cannot be decoded: ${reason}.` }, cause);
}

function undecodable(reason: string, cause?: unknown): HeadraceError {
  return new HeadraceError("RECORD_UNDECODABLE", { message: `A record cannot be decoded: ${reason}.` }, cause);
}
