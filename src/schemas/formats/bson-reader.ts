import { HeadraceError } from "../../errors/error.ts";

/** The types of BSON elements (bsonspec.org). */
export const BsonType = {
  double: 0x01,
  string: 0x02,
  document: 0x03,
  array: 0x04,
  binary: 0x05,
  undefined: 0x06,
  objectId: 0x07,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  regex: 0x0b,
  dbPointer: 0x0c,
  code: 0x0d,
  symbol: 0x0e,
  codeWithScope: 0x0f,
  int32: 0x10,
  timestamp: 0x11,
  int64: 0x12,
  decimal128: 0x13,
  maxKey: 0x7f,
  minKey: 0xff,
} as const;

/** Binary subtypes that Headrace treats specially. */
export const BinarySubtype = { lengthPrefixed: 0x02, legacyUuid: 0x03, uuid: 0x04 } as const;

/** Where a Binary's payload starts, after its length and subtype. The payload ends at the end of the value. */
export function binaryStart(bytes: Buffer, start: number): number {
  return bytes[start + 4] === BinarySubtype.lengthPrefixed ? start + 9 : start + 5;
}

export function isUuid(bytes: Buffer, start: number, end: number): boolean {
  return bytes[start + 4] === BinarySubtype.uuid && end - start === 21;
}

/** @throws HeadraceError DOCUMENT_UNENCODABLE */
export function malformed(what: string): HeadraceError {
  return new HeadraceError("DOCUMENT_UNENCODABLE", {
    message: `The document is not well-formed BSON: ${what}.`,
    remedy: "Find the document by its key in MongoDB, and write it again with a driver.",
  });
}

/** The length in bytes of each type with a fixed length; -1 for all others. */
const FIXED_LENGTHS = new Int8Array(256).fill(-1);
for (const type of [BsonType.double, BsonType.date, BsonType.timestamp, BsonType.int64]) FIXED_LENGTHS[type] = 8;
for (const type of [BsonType.null, BsonType.undefined, BsonType.minKey, BsonType.maxKey]) FIXED_LENGTHS[type] = 0;
FIXED_LENGTHS[BsonType.int32] = 4;
FIXED_LENGTHS[BsonType.objectId] = 12;
FIXED_LENGTHS[BsonType.decimal128] = 16;

/**
 * Returns where the value at `start` ends: at `limit`, the offset of the enclosing document's last byte, or before it.
 * Does not check the content of a nested document.
 * @throws HeadraceError DOCUMENT_UNENCODABLE
 */
export function valueEnd(bytes: Buffer, type: number, start: number, limit: number): number {
  const fixed = FIXED_LENGTHS[type] as number;
  const end = fixed >= 0 ? start + fixed : variableEnd(bytes, type, start, limit);
  if (end > limit) throw malformed("a value is longer than its document");
  return end;
}

/** Returns the end of the document or array at `start`, which must not exceed `limit`. */
export function documentEnd(bytes: Buffer, start: number, limit: number): number {
  const size = sizeAt(bytes, start, limit);
  if (size < 5 || size > limit - start) throw malformed("a document's length is wrong");
  if (bytes[start + size - 1] !== 0) throw malformed("a document does not end with a zero");
  return start + size;
}

/** Returns the end of a zero-terminated string, after its zero. */
export function cstringEnd(bytes: Buffer, start: number, limit: number): number {
  let at = start;
  while (at < limit && bytes[at] !== 0) at++;
  if (at >= limit) throw malformed("a name does not end with a zero");
  return at + 1;
}

function variableEnd(bytes: Buffer, type: number, start: number, limit: number): number {
  switch (type) {
    case BsonType.string:
    case BsonType.code:
    case BsonType.symbol:
      return stringEnd(bytes, start, limit);
    case BsonType.document:
    case BsonType.array:
      return documentEnd(bytes, start, limit);
    case BsonType.boolean:
      if (start >= limit || (bytes[start] as number) > 1) throw malformed("a boolean is neither true nor false");
      return start + 1;
    case BsonType.binary:
      return binaryEnd(bytes, start, limit);
    case BsonType.regex:
      return cstringEnd(bytes, cstringEnd(bytes, start, limit), limit);
    case BsonType.dbPointer:
      return stringEnd(bytes, start, limit) + 12;
    case BsonType.codeWithScope:
      return codeWithScopeEnd(bytes, start, limit);
    default:
      throw malformed(`the element type ${type} does not exist`);
  }
}

/** Returns the end of a string with its length in front, whose last byte is a zero. */
export function stringEnd(bytes: Buffer, start: number, limit: number): number {
  const size = sizeAt(bytes, start, limit);
  const end = start + 4 + size;
  if (size < 1 || end > limit || bytes[end - 1] !== 0) throw malformed("a string's length is wrong");
  return end;
}

function binaryEnd(bytes: Buffer, start: number, limit: number): number {
  const size = sizeAt(bytes, start, limit);
  const end = start + 5 + size;
  if (end > limit) throw malformed("a binary's length is wrong");
  if (bytes[start + 4] === BinarySubtype.lengthPrefixed && (size < 4 || bytes.readInt32LE(start + 5) !== size - 4)) {
    throw malformed("a binary's second length is wrong");
  }
  return end;
}

function codeWithScopeEnd(bytes: Buffer, start: number, limit: number): number {
  const end = start + sizeAt(bytes, start, limit);
  if (end > limit) throw malformed("the length of code with scope is wrong");
  if (documentEnd(bytes, stringEnd(bytes, start + 4, end), end) !== end) {
    throw malformed("the length of code with scope is wrong");
  }
  return end;
}

function sizeAt(bytes: Buffer, start: number, limit: number): number {
  if (start + 4 > limit) throw malformed("a length is truncated");
  const size = bytes.readInt32LE(start);
  if (size < 0) throw malformed("a length is negative");
  return size;
}
