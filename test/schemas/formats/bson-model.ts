// A description of BSON values for tests, from which their bytes are made. It can describe what `bson` cannot write:
// duplicate names, ill-formed UTF-8, and dates of any size.
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from "bson";

export interface Field {
  readonly name: Buffer;
  readonly value: Bson;
}

export type Bson =
  | { readonly type: "double" | "int32"; readonly value: number }
  | { readonly type: "int64" | "date" | "timestamp"; readonly value: bigint }
  | { readonly type: "string" | "symbol" | "code"; readonly utf8: Buffer }
  | { readonly type: "document"; readonly fields: readonly Field[] }
  | { readonly type: "array"; readonly items: readonly Bson[] }
  | { readonly type: "binary"; readonly subtype: number; readonly bytes: Buffer }
  | { readonly type: "objectId"; readonly bytes: Buffer }
  | { readonly type: "decimal128"; readonly bytes: Buffer }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "regex"; readonly pattern: Buffer; readonly options: string }
  | { readonly type: "dbPointer"; readonly namespace: Buffer; readonly id: Buffer }
  | { readonly type: "codeWithScope"; readonly utf8: Buffer; readonly scope: readonly Field[] }
  | { readonly type: "null" | "undefined" | "minKey" | "maxKey" };

const TYPE_BYTES: Readonly<Record<Bson["type"], number>> = {
  double: 1,
  string: 2,
  document: 3,
  array: 4,
  binary: 5,
  undefined: 6,
  objectId: 7,
  boolean: 8,
  date: 9,
  null: 10,
  regex: 11,
  dbPointer: 12,
  code: 13,
  symbol: 14,
  codeWithScope: 15,
  int32: 16,
  timestamp: 17,
  int64: 18,
  decimal128: 19,
  maxKey: 127,
  minKey: 255,
};

const ZERO = Buffer.alloc(1);

export function documentBytes(fields: readonly Field[]): Buffer {
  const body = fields.map(({ name, value }) =>
    Buffer.concat([Buffer.from([TYPE_BYTES[value.type]]), name, ZERO, valueBytes(value)]),
  );
  return withSize([...body, ZERO], 4);
}

export function field(name: string, value: Bson): Field {
  return { name: Buffer.from(name), value };
}

export function text(value: string): Bson {
  return { type: "string", utf8: Buffer.from(value) };
}

export const int32 = (value: number): Bson => ({ type: "int32", value });
export const int64 = (value: bigint): Bson => ({ type: "int64", value });
export const double = (value: number): Bson => ({ type: "double", value });
export const date = (value: bigint): Bson => ({ type: "date", value });
export const binary = (subtype: number, bytes: Buffer): Bson => ({ type: "binary", subtype, bytes });
export const object = (...fields: readonly Field[]): Bson => ({ type: "document", fields });
export const array = (...items: readonly Bson[]): Bson => ({ type: "array", items });
export const decimal = (value: string): Bson => ({
  type: "decimal128",
  bytes: Buffer.from(Decimal128.fromString(value).bytes),
});

/** The class of `bson` for a value that is not a document or array; undefined if no class represents it exactly. */
export function bsonClassOf(value: Bson): unknown {
  switch (value.type) {
    case "double":
      return new Double(value.value);
    case "int32":
      return new Int32(value.value);
    case "int64":
      return Long.fromBigInt(value.value);
    case "timestamp":
      return new Timestamp(value.value);
    case "binary":
      return new Binary(value.bytes, value.subtype);
    case "objectId":
      return new ObjectId(value.bytes);
    case "decimal128":
      return new Decimal128(value.bytes);
    case "regex":
      return new BSONRegExp(mended(value.pattern), value.options);
    case "symbol":
      return new BSONSymbol(mended(value.utf8));
    case "code":
      return new Code(mended(value.utf8));
    case "minKey":
      return new MinKey();
    case "maxKey":
      return new MaxKey();
    case "boolean":
      return value.value;
    case "null":
      return null;
    case "string":
      return mended(value.utf8);
    case "undefined":
    case "date":
    case "document":
    case "array":
    case "codeWithScope":
    case "dbPointer":
    default:
      return undefined;
  }
}

/** Text as PostgreSQL gets it: U+FFFD for NUL and for what is not UTF-8. */
export function mended(utf8: Buffer): string {
  return utf8.toString("utf8").replaceAll("\0", "\ufffd");
}

export function needsMending(utf8: Buffer): boolean {
  return !Buffer.from(mended(utf8)).equals(utf8);
}

/** Keeps only the last of the fields with the same name. */
export function lastFields(fields: readonly Field[]): readonly Field[] {
  return fields.filter(({ name }, index) => !fields.slice(index + 1).some((later) => later.name.equals(name)));
}

function valueBytes(value: Bson): Buffer {
  switch (value.type) {
    case "double":
      return numberBytes(8, (bytes) => bytes.writeDoubleLE(value.value));
    case "int32":
      return numberBytes(4, (bytes) => bytes.writeInt32LE(value.value));
    case "int64":
    case "date":
      return numberBytes(8, (bytes) => bytes.writeBigInt64LE(value.value));
    case "timestamp":
      return numberBytes(8, (bytes) => bytes.writeBigUInt64LE(value.value));
    case "string":
    case "symbol":
    case "code":
      return stringBytes(value.utf8);
    case "document":
      return documentBytes(value.fields);
    case "array":
      return documentBytes(value.items.map((item, index) => field(String(index), item)));
    case "binary":
      return binaryBytes(value.subtype, value.bytes);
    case "objectId":
    case "decimal128":
      return value.bytes;
    case "boolean":
      return Buffer.from([value.value ? 1 : 0]);
    case "regex":
      return Buffer.concat([value.pattern, ZERO, Buffer.from(value.options), ZERO]);
    case "dbPointer":
      return Buffer.concat([stringBytes(value.namespace), value.id]);
    case "codeWithScope":
      return withSize([stringBytes(value.utf8), documentBytes(value.scope)], 4);
    case "null":
    case "undefined":
    case "minKey":
    case "maxKey":
    default:
      return Buffer.alloc(0);
  }
}

function numberBytes(length: number, write: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(length);
  write(bytes);
  return bytes;
}

function stringBytes(utf8: Buffer): Buffer {
  return withSize([utf8, ZERO], 0);
}

function binaryBytes(subtype: number, bytes: Buffer): Buffer {
  const payload = subtype === 2 ? withSize([bytes], 0) : bytes;
  return Buffer.concat([numberBytes(4, (size) => size.writeInt32LE(payload.length)), Buffer.from([subtype]), payload]);
}

/** @param own how many bytes of the size field are included in the size */
function withSize(parts: readonly Buffer[], own: number): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([numberBytes(4, (size) => size.writeInt32LE(body.length + own)), body]);
}
