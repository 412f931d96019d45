import type { AvroWriter } from "../formats/avro-writer.ts";
import { BsonType, binaryStart, cstringEnd, malformed, stringEnd } from "../formats/bson-reader.ts";
import { decimal128Text } from "../formats/decimal-text.ts";
import { appendBase64, appendHex, int64Text } from "../formats/value-text.ts";
import { appendJsonString } from "./json-string.ts";

/** Appends canonical Extended JSON of a value that contains no document or array. */
export function appendExtended(out: AvroWriter, bytes: Buffer, type: number, start: number, end: number): void {
  switch (type) {
    case BsonType.string:
      return appendJsonString(out, bytes, start + 4, end - 1);
    case BsonType.int32:
      return out.appendAscii(`{"$numberInt":"${bytes.readInt32LE(start)}"}`);
    case BsonType.int64:
      return out.appendAscii(`{"$numberLong":"${int64Text(bytes, start)}"}`);
    case BsonType.double:
      return out.appendAscii(`{"$numberDouble":"${extendedDouble(bytes.readDoubleLE(start))}"}`);
    case BsonType.decimal128:
      return out.appendAscii(`{"$numberDecimal":"${decimal128Text(bytes, start)}"}`);
    case BsonType.boolean:
      return out.appendAscii(bytes[start] === 1 ? "true" : "false");
    case BsonType.null:
      return out.appendAscii("null");
    case BsonType.objectId:
      return appendObjectId(out, bytes, start);
    case BsonType.date:
      return out.appendAscii(`{"$date":{"$numberLong":"${int64Text(bytes, start)}"}}`);
    case BsonType.binary:
      return appendBinary(out, bytes, start, end);
    default:
      return appendRare(out, bytes, type, start, end);
  }
}

/** Types that have the same form in plain JSON. */
function appendRare(out: AvroWriter, bytes: Buffer, type: number, start: number, end: number): void {
  switch (type) {
    case BsonType.undefined:
      return out.appendAscii('{"$undefined":true}');
    case BsonType.minKey:
      return out.appendAscii('{"$minKey":1}');
    case BsonType.maxKey:
      return out.appendAscii('{"$maxKey":1}');
    case BsonType.timestamp:
      return out.appendAscii(`{"$timestamp":{"t":${bytes.readUInt32LE(start + 4)},"i":${bytes.readUInt32LE(start)}}}`);
    case BsonType.code:
      return appendWrapped(out, '{"$code":', bytes, start + 4, end - 1, "}");
    case BsonType.symbol:
      return appendWrapped(out, '{"$symbol":', bytes, start + 4, end - 1, "}");
    case BsonType.regex: {
      const options = cstringEnd(bytes, start, end);
      appendWrapped(out, '{"$regularExpression":{"pattern":', bytes, start, options - 1, "");
      return appendWrapped(out, ',"options":', bytes, options, end - 1, "}}");
    }
    case BsonType.dbPointer: {
      const id = stringEnd(bytes, start, end);
      appendWrapped(out, '{"$dbPointer":{"$ref":', bytes, start + 4, id - 1, ',"$id":');
      appendObjectId(out, bytes, id);
      return out.appendAscii("}}");
    }
    default:
      throw malformed(`the element type ${type} does not exist`);
  }
}

function appendWrapped(out: AvroWriter, before: string, bytes: Buffer, start: number, end: number, after: string) {
  out.appendAscii(before);
  appendJsonString(out, bytes, start, end);
  out.appendAscii(after);
}

function appendObjectId(out: AvroWriter, bytes: Buffer, start: number): void {
  out.appendAscii('{"$oid":"');
  appendHex(out, bytes, start, start + 12);
  out.appendAscii('"}');
}

function appendBinary(out: AvroWriter, bytes: Buffer, start: number, end: number): void {
  out.appendAscii('{"$binary":{"base64":"');
  appendBase64(out, bytes, binaryStart(bytes, start), end);
  out.appendAscii('","subType":"');
  appendHex(out, bytes, start + 4, start + 5);
  out.appendAscii('"}}');
}

/** "7.0" for 7, as in the specification and in `bson`. */
function extendedDouble(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
