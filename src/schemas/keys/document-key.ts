import { Code, type Document, EJSON, Long, ObjectId, UUID } from "bson";
import { HeadraceError } from "../../errors/error.ts";
import { BsonType, cstringEnd, documentEnd, isUuid, valueEnd } from "../formats/bson-reader.ts";
import type { IdType } from "../mapping/mapping.ts";
import { canonicalId, invalidKey, keyText } from "./canonical-id.ts";
import { decimal128Value, int64Of } from "./canonical-number.ts";

/** The place of an `_id`'s value in a document. */
interface IdElement {
  readonly bytes: Buffer;
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

/**
 * The `_id` type of a collection, judged by its first and last document in the order of `_id`.
 * @param ends raw BSON documents
 * @returns undefined if there are none
 */
export function idTypeOfDocuments(ends: readonly Uint8Array[]): IdType | undefined {
  const types = new Set(ends.map((end) => ownIdType(findId(end))));
  const [type] = types;
  return types.size > 1 ? "mixed" : type;
}

/**
 * A document's key as text, as the `_id` column holds it. `_id`s that MongoDB treats as equal have the same key.
 * @param documentKey a raw BSON document with the `_id`
 * @throws HeadraceError ID_TYPE_MISMATCH if the `_id` does not have the type `idType`, KEY_INVALID if it cannot be a
 *   key, DOCUMENT_UNENCODABLE if the bytes are not BSON
 */
export function canonicalKey(idType: IdType, documentKey: Uint8Array): string {
  const id = findId(documentKey);
  if (idType === "mixed") return canonicalId(id.bytes, id.type, id.start, id.end);
  const key = TYPED_KEYS[idType](id);
  if (key === undefined) throw mismatch(idType, id);
  return key;
}

/** The PostgreSQL type of the `_id` column. */
export function keyColumnType(idType: IdType): "text" | "bigint" | "uuid" {
  if (idType === "integer") return "bigint";
  return idType === "uuid" ? "uuid" : "text";
}

/**
 * A value for look-ups with the driver that MongoDB treats as equal to the `_id` of a canonical key. Sub-documents are
 * Maps, because an object would put names like "1" first.
 * @throws HeadraceError KEY_INVALID if `key` is not a key of this type
 */
export function keyToId(idType: IdType, key: string): unknown {
  try {
    return ID_READERS[idType](key);
  } catch (error) {
    throw invalidKey(`is not a valid key of type ${idType}`, error);
  }
}

const ID_READERS: Readonly<Record<IdType, (key: string) => unknown>> = {
  objectId: (key) => ObjectId.createFromHexString(key),
  string: (key) => key,
  integer: (key) => Long.fromStringStrict(key),
  uuid: (key) => UUID.createFromHexString(key),
  mixed: (key) => toBson(JSON.parse(key.replaceAll(JSON_STRING, markName))),
};

/** The key of an `_id`; undefined if the `_id` does not have the type. */
const TYPED_KEYS: Readonly<Record<Exclude<IdType, "mixed">, (id: IdElement) => string | undefined>> = {
  objectId: ({ bytes, type, start, end }) =>
    type === BsonType.objectId ? bytes.toString("hex", start, end) : undefined,
  string: ({ bytes, type, start, end }) =>
    type === BsonType.string || type === BsonType.symbol ? keyText(bytes, start + 4, end - 1) : undefined,
  integer: integerKey,
  uuid({ bytes, type, start, end }) {
    if (type !== BsonType.binary || !isUuid(bytes, start, end)) return undefined;
    return bytes.toString("hex", start + 5, end).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  },
};

const TYPED_ID_TYPES = Object.keys(TYPED_KEYS) as (keyof typeof TYPED_KEYS)[];

function integerKey({ bytes, type, start }: IdElement): string | undefined {
  switch (type) {
    case BsonType.int32:
      return String(bytes.readInt32LE(start));
    case BsonType.int64:
      return String(bytes.readBigInt64LE(start));
    case BsonType.double: {
      const value = bytes.readDoubleLE(start);
      if (!Number.isInteger(value) || value < -(2 ** 63) || value >= 2 ** 63) return undefined;
      return String(BigInt(value));
    }
    case BsonType.decimal128: {
      const value = decimal128Value(bytes, start);
      return typeof value === "number" ? undefined : int64Of(value)?.toString();
    }
    default:
      return undefined;
  }
}

function ownIdType(id: IdElement): IdType {
  // Also if it cannot be a key.
  if (id.type === BsonType.string || id.type === BsonType.symbol) return "string";
  return TYPED_ID_TYPES.find((idType) => TYPED_KEYS[idType](id) !== undefined) ?? "mixed";
}

function findId(document: Uint8Array): IdElement {
  const bytes = Buffer.isBuffer(document)
    ? document
    : Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  const limit = documentEnd(bytes, 0, bytes.length) - 1;
  for (let at = 4; at < limit;) {
    const type = bytes[at] as number;
    const start = cstringEnd(bytes, at + 1, limit);
    const end = valueEnd(bytes, type, start, limit);
    if (start - at === 5 && isNamedId(bytes, at + 1)) return { bytes, type, start, end };
    at = end;
  }
  throw invalidKey("is missing");
}

function isNamedId(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0x5f && bytes[at + 1] === 0x69 && bytes[at + 2] === 0x64;
}

function mismatch(idType: IdType, { type }: IdElement): HeadraceError {
  const name = Object.entries(BsonType).find(([, value]) => value === type)?.[0] ?? String(type);
  return new HeadraceError("ID_TYPE_MISMATCH", {
    message: `An _id has the BSON type ${name}, but the _ids of its collection have the type ${idType}.`,
  });
}

/** The strings in a JSON text. If one is the name of a field, the match includes the colon. */
const JSON_STRING = /"((?:[^"\\]|\\.)*)"(:?)/g;
/** Put in front of every name, because JSON.parse puts numeric names first and treats `__proto__` specially. */
const MARK = "#";

function markName(text: string, content: string, colon: string): string {
  return colon === "" ? text : `"${MARK}${content}":`;
}

function toBson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toBson);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(([name, inner]): [string, unknown] => [name.slice(MARK.length), inner]);
  const [name, inner] = fields[0] ?? ["", undefined];
  const scope = fields[1]?.[1];
  if (name === "$code") return new Code(String(inner), scope === undefined ? null : (toBson(scope) as Document));
  if (!name.startsWith("$") || name === "$ref") return new Map(fields.map(([field, each]) => [field, toBson(each)]));
  return EJSON.deserialize(withoutMarks(value), { relaxed: false });
}

/** For the Extended JSON of a type, in which no name is a number. */
function withoutMarks(value: object): Document {
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]: [string, unknown]) => [
      name.slice(MARK.length),
      typeof inner === "object" && inner !== null ? withoutMarks(inner) : inner,
    ]),
  );
}
