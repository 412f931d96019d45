import type { AvroWriter } from "../formats/avro-writer.ts";
import { BsonType, isUuid } from "../formats/bson-reader.ts";
import { appendHex, appendUuid } from "../formats/value-text.ts";
import type { ColumnType } from "../mapping/column-type.ts";
import type { Fit } from "./fit.ts";

const BLANK = 0x20;
const UUID_CHARACTERS = 36;
const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function textFit(out: AvroWriter): Fit {
  return (bytes, type, start, end) => {
    switch (type) {
      case BsonType.string:
        out.writeText(bytes, start + 4, end - 1);
        return true;
      case BsonType.objectId:
        out.writeInt(24);
        appendHex(out, bytes, start, end);
        return true;
      case BsonType.binary:
        return writeUuidBinary(out, bytes, start, end);
      default:
        return false;
    }
  };
}

/** `character varying(n)`: at most n characters. */
export function varcharFit(out: AvroWriter, { length }: ColumnType): Fit {
  const fitText = textFit(out);
  if (length === undefined) return fitText;
  return (bytes, type, start, end) => {
    const before = out.position;
    return fitText(bytes, type, start, end) && !isLongerThan(out.bytes, before, out.position, length);
  };
}

/**
 * `character(n)`: exactly n characters, because PostgreSQL pads shorter texts; and no space at the end, because it
 * ignores trailing spaces.
 */
export function charFit(out: AvroWriter, { length = 1 }: ColumnType): Fit {
  const fitText = textFit(out);
  return (bytes, type, start, end) => {
    const before = out.position;
    if (!fitText(bytes, type, start, end)) return false;
    if (isLongerThan(out.bytes, before, out.position, length)) return false;
    return isLongerThan(out.bytes, before, out.position, length - 1) && out.bytes[out.position - 1] !== BLANK;
  };
}

export function uuidFit(out: AvroWriter): Fit {
  return (bytes, type, start, end) => {
    if (type === BsonType.binary) return writeUuidBinary(out, bytes, start, end);
    if (type !== BsonType.string || end - start - 5 !== UUID_CHARACTERS) return false;
    const text = bytes.toString("latin1", start + 4, end - 1);
    if (!UUID_PATTERN.test(text)) return false;
    out.writeAscii(text);
    return true;
  };
}

function writeUuidBinary(out: AvroWriter, bytes: Buffer, start: number, end: number): boolean {
  if (!isUuid(bytes, start, end)) return false;
  out.writeInt(UUID_CHARACTERS);
  appendUuid(out, bytes, start + 5);
  return true;
}

/** Whether the Avro string between `start` and `end` has more than `limit` characters (code points). */
function isLongerThan(bytes: Buffer, start: number, end: number, limit: number): boolean {
  let at = start;
  while ((bytes[at++] as number) >= 0x80);
  if (end - at <= limit) return false;
  let characters = 0;
  for (; at < end; at++) if (((bytes[at] as number) & 0xc0) !== 0x80) characters++;
  return characters > limit;
}
