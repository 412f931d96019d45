import { createHmac } from "node:crypto";
import { BsonType, binaryStart, isUuid, stringEnd } from "../formats/bson-reader.ts";
import { decimal128Text, parseDecimal } from "../formats/decimal-text.ts";
import { int64Text } from "../formats/value-text.ts";

/** A value in raw BSON that is no document and no array. */
export interface RawScalar {
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

/** Longer numbers keep an exponent. */
const MOST_ZEROS = 400;
/** The limit of JavaScript's dates, in ms before and after 1970. */
const MOST_MS = 8.64e15;

/**
 * HMAC-SHA-256, in 64 hexadecimal digits, of the value as a text in UTF-8. Anybody with the key can make it, and equal
 * numbers of different types have equal ones (docs/collections.md has the texts). Null for null, and for the rare types that
 * have no such text: code, regular expressions, timestamps …
 */
export function hashOf(bytes: Buffer, value: RawScalar, key: string): string | null {
  const text = textOf(bytes, value);
  return text === null ? null : createHmac("sha256", key).update(text).digest("hex");
}

function textOf(bytes: Buffer, { type, start, end }: RawScalar): string | null {
  switch (type) {
    case BsonType.string:
    case BsonType.symbol:
      return bytes.toString("utf8", start + 4, stringEnd(bytes, start, end) - 1);
    case BsonType.objectId:
      return bytes.toString("hex", start, end);
    case BsonType.boolean:
      return bytes[start] === 1 ? "true" : "false";
    case BsonType.int32:
      return String(bytes.readInt32LE(start));
    case BsonType.int64:
      return int64Text(bytes, start);
    case BsonType.double:
      return numberText(String(bytes.readDoubleLE(start)));
    case BsonType.decimal128:
      return numberText(decimal128Text(bytes, start));
    case BsonType.date:
      return dateText(bytes.readBigInt64LE(start));
    case BsonType.binary:
      return isUuid(bytes, start, end)
        ? uuidText(bytes, start + 5)
        : bytes.toString("base64", binaryStart(bytes, start), end);
    default:
      return null;
  }
}

/** One text for 1.50, 1.5 and 15E-1: the digits, without zeros at the end of a fraction. */
function numberText(text: string): string {
  const parsed = parseDecimal(text);
  if (parsed === undefined) return text;
  const { isNegative, digits, exponent } = parsed;
  if (digits === "") return "0";
  const sign = isNegative ? "-" : "";
  if (Math.abs(exponent) > MOST_ZEROS) return `${sign}${digits}e${exponent}`;
  if (exponent >= 0) return sign + digits + "0".repeat(exponent);
  const point = digits.length + exponent;
  return point > 0
    ? `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
    : `${sign}0.${"0".repeat(-point)}${digits}`;
}

function dateText(ms: bigint): string {
  const number = Number(ms);
  return Math.abs(number) <= MOST_MS ? new Date(number).toISOString() : String(ms);
}

function uuidText(bytes: Buffer, start: number): string {
  const hex = bytes.toString("hex", start, start + 16);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
