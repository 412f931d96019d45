import { isUtf8 } from "node:buffer";
import { HeadraceError } from "../../errors/error.ts";
import { BsonType, binaryStart, cstringEnd, malformed, valueEnd } from "../formats/bson-reader.ts";
import { canonicalDecimal128, keyDouble, canonicalInteger } from "./canonical-number.ts";

/** The fields of a DBRef: the only ones that begin with "$" in an ordinary sub-document. */
const DBREF_NAMES: ReadonlySet<string> = new Set(["$ref", "$id", "$db"]);

/**
 * A value as canonical Extended JSON, with one text for all values that MongoDB treats as equal: numbers by their
 * value, a symbol as its string, also inside sub-documents and arrays. Fields keep their order, because MongoDB
 * compares it.
 * @throws HeadraceError KEY_INVALID if another `_id` could have the same text, or if a string is not valid text
 */
export function canonicalId(bytes: Buffer, type: number, start: number, end: number): string {
  switch (type) {
    case BsonType.double:
      return keyDouble(bytes.readDoubleLE(start));
    case BsonType.int32:
      return canonicalInteger(BigInt(bytes.readInt32LE(start)));
    case BsonType.int64:
      return canonicalInteger(bytes.readBigInt64LE(start));
    case BsonType.decimal128:
      return canonicalDecimal128(bytes, start);
    case BsonType.string:
    case BsonType.symbol:
      return quoted(bytes, start + 4, end - 1);
    case BsonType.document:
      return canonicalDocument(bytes, start, end);
    case BsonType.array:
      return `[${elements(bytes, start, end)
        .map(({ value }) => value)
        .join(",")}]`;
    case BsonType.binary:
      return canonicalBinary(bytes, start, end);
    case BsonType.objectId:
      return objectId(bytes, start);
    case BsonType.boolean:
      return String(bytes[start] === 1);
    case BsonType.date:
      return `{"$date":{"$numberLong":"${bytes.readBigInt64LE(start)}"}}`;
    case BsonType.null:
      return "null";
    case BsonType.timestamp:
      return `{"$timestamp":{"t":${bytes.readUInt32LE(start + 4)},"i":${bytes.readUInt32LE(start)}}}`;
    default:
      return canonicalUnusual(bytes, type, start, end);
  }
}

/** @throws HeadraceError KEY_INVALID if the bytes are not UTF-8 or contain a NUL */
export function keyText(bytes: Buffer, start: number, end: number): string {
  if (!isUtf8(bytes.subarray(start, end))) throw invalidKey("contains text that is not UTF-8");
  const text = bytes.toString("utf8", start, end);
  if (text.includes("\0")) throw invalidKey("contains a NUL character, which PostgreSQL cannot store");
  return text;
}

/** @param problem the rest of the sentence "A document's _id …" */
export function invalidKey(problem: string, cause?: unknown): HeadraceError {
  return new HeadraceError("KEY_INVALID", { message: `A document's _id ${problem}.` }, cause);
}

function canonicalDocument(bytes: Buffer, start: number, end: number): string {
  const fields = elements(bytes, start, end).map(({ nameStart, nameEnd, value }) => {
    const name = keyText(bytes, nameStart, nameEnd);
    // It could look like the Extended JSON of another type. MongoDB 6.0 refuses such names in an `_id`, at any depth.
    if (name.startsWith("$") && !DBREF_NAMES.has(name)) throw invalidKey('has a field whose name begins with "$"');
    return { name, value };
  });
  if (new Set(fields.map(({ name }) => name)).size < fields.length)
    throw invalidKey("has two fields with the same name");
  return `{${fields.map(({ name, value }) => `${JSON.stringify(name)}:${value}`).join(",")}}`;
}

/** Types that are unusual in an `_id`. */
function canonicalUnusual(bytes: Buffer, type: number, start: number, end: number): string {
  switch (type) {
    case BsonType.undefined:
      return '{"$undefined":true}';
    case BsonType.minKey:
      return '{"$minKey":1}';
    case BsonType.maxKey:
      return '{"$maxKey":1}';
    case BsonType.regex: {
      const patternEnd = cstringEnd(bytes, start, end);
      const [pattern, options] = [quoted(bytes, start, patternEnd - 1), quoted(bytes, patternEnd, end - 1)];
      return `{"$regularExpression":{"pattern":${pattern},"options":${options}}}`;
    }
    case BsonType.dbPointer:
      return `{"$dbPointer":{"$ref":${quoted(bytes, start + 4, end - 13)},"$id":${objectId(bytes, end - 12)}}}`;
    case BsonType.code:
      return `{"$code":${quoted(bytes, start + 4, end - 1)}}`;
    case BsonType.codeWithScope: {
      const scope = start + 8 + bytes.readInt32LE(start + 4);
      return `{"$code":${quoted(bytes, start + 8, scope - 1)},"$scope":${canonicalDocument(bytes, scope, end)}}`;
    }
    default:
      throw malformed(`the element type ${type} does not exist`);
  }
}

function canonicalBinary(bytes: Buffer, start: number, end: number): string {
  const base64 = bytes.toString("base64", binaryStart(bytes, start), end);
  const subType = bytes.toString("hex", start + 4, start + 5);
  return `{"$binary":{"base64":"${base64}","subType":"${subType}"}}`;
}

function objectId(bytes: Buffer, start: number): string {
  return `{"$oid":"${bytes.toString("hex", start, start + 12)}"}`;
}

function quoted(bytes: Buffer, start: number, end: number): string {
  return JSON.stringify(keyText(bytes, start, end));
}

interface CanonicalElement {
  readonly nameStart: number;
  readonly nameEnd: number;
  readonly value: string;
}

function elements(bytes: Buffer, start: number, end: number): CanonicalElement[] {
  const found: CanonicalElement[] = [];
  const limit = end - 1;
  for (let at = start + 4; at < limit;) {
    const type = bytes[at] as number;
    const nameStart = at + 1;
    const valueStart = cstringEnd(bytes, nameStart, limit);
    at = valueEnd(bytes, type, valueStart, limit);
    found.push({ nameStart, nameEnd: valueStart - 1, value: canonicalId(bytes, type, valueStart, at) });
  }
  return found;
}
