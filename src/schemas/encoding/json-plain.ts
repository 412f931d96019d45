import type { AvroWriter } from "../formats/avro-writer.ts";
import { BsonType, binaryStart, isUuid } from "../formats/bson-reader.ts";
import { decimal128Text, plainDigits } from "../formats/decimal-text.ts";
import { appendBase64, appendHex, appendUuid, int64Text } from "../formats/value-text.ts";
import { appendIsoDate } from "./json-date.ts";
import { appendExtended } from "./json-extended.ts";

const QUOTE = 0x22;
/** The limit of JavaScript's dates, in ms before and after 1970. */
const MOST_MS = 8.64e15;

/** Appends JSON that is easy to query, of a value that contains no document or array. */
export function appendPlain(out: AvroWriter, bytes: Buffer, type: number, start: number, end: number): void {
  switch (type) {
    case BsonType.int32:
      return out.appendAscii(String(bytes.readInt32LE(start)));
    case BsonType.int64:
      return out.appendAscii(int64Text(bytes, start));
    case BsonType.double:
      return appendDouble(out, bytes.readDoubleLE(start));
    case BsonType.decimal128:
      return appendDecimal(out, decimal128Text(bytes, start));
    case BsonType.date:
      return appendDate(out, bytes, start, end);
    case BsonType.objectId:
      out.appendByte(QUOTE);
      appendHex(out, bytes, start, end);
      return out.appendByte(QUOTE);
    case BsonType.binary:
      out.appendByte(QUOTE);
      if (isUuid(bytes, start, end)) appendUuid(out, bytes, start + 5);
      else appendBase64(out, bytes, binaryStart(bytes, start), end);
      return out.appendByte(QUOTE);
    default:
      return appendExtended(out, bytes, type, start, end);
  }
}

function appendDouble(out: AvroWriter, value: number): void {
  out.appendAscii(Number.isFinite(value) ? String(value) : `"${value}"`);
}

function appendDecimal(out: AvroWriter, text: string): void {
  const isFinite = text !== "NaN" && !text.endsWith("Infinity");
  out.appendAscii((isFinite ? plainDigits(text) : undefined) ?? `"${text}"`);
}

function appendDate(out: AvroWriter, bytes: Buffer, start: number, end: number): void {
  const ms = bytes.readInt32LE(start + 4) * 0x100000000 + bytes.readUInt32LE(start);
  if (Math.abs(ms) > MOST_MS) return appendExtended(out, bytes, BsonType.date, start, end);
  out.appendByte(QUOTE);
  appendIsoDate(out, ms);
  out.appendByte(QUOTE);
}
