import { createHmac } from "node:crypto";
import { BsonType, isUuid, stringEnd } from "../formats/bson-reader.ts";
import { decimal128Text, plainDigits } from "../formats/decimal-text.ts";
import { int64Text } from "../formats/value-text.ts";

/** A value in raw BSON. */
export interface RawValue {
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

/**
 * HMAC-SHA-256 in 64 hexadecimal digits. Of a text, an ObjectId, a UUID and a number it is the one of their text in UTF-8, so
 * that anybody with the key can make it, and equal numbers have equal ones. Of any other value it is the one of its BSON:
 * the type's byte and the value.
 */
export function hashOf(bytes: Buffer, value: RawValue, key: string): string {
  return createHmac("sha256", key).update(contentOf(bytes, value)).digest("hex");
}

function contentOf(bytes: Buffer, { type, start, end }: RawValue): Buffer | string {
  switch (type) {
    case BsonType.string:
    case BsonType.symbol:
      return bytes.subarray(start + 4, stringEnd(bytes, start, end) - 1);
    case BsonType.objectId:
      return bytes.toString("hex", start, end);
    case BsonType.int32:
      return String(bytes.readInt32LE(start));
    case BsonType.int64:
      return int64Text(bytes, start);
    case BsonType.double:
      return String(bytes.readDoubleLE(start));
    case BsonType.decimal128:
      return decimalContent(decimal128Text(bytes, start));
    case BsonType.binary:
      if (isUuid(bytes, start, end)) return uuidText(bytes, start + 5);
      break;
  }
  return Buffer.concat([Buffer.of(type), bytes.subarray(start, end)]);
}

/** 1.50 and 1.5 are equal numbers. */
function decimalContent(text: string): string {
  const plain = plainDigits(text) ?? text;
  const short = plain.includes(".") && !plain.includes("E") ? plain.replace(/\.?0+$/, "") : plain;
  return Number.isSafeInteger(Number(short)) || String(Number(short)) === short ? String(Number(short)) : short;
}

function uuidText(bytes: Buffer, start: number): string {
  const hex = bytes.toString("hex", start, start + 16);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
