import type { AvroWriter } from "../formats/avro-writer.ts";
import { BinarySubtype, BsonType, binaryStart, cstringEnd, valueEnd } from "../formats/bson-reader.ts";
import type { ColumnBase, ColumnType } from "../mapping/column-type.ts";
import { fitBigint, fitDoublePrecision, fitInteger, fitNumeric, fitReal, fitSmallint } from "./fit-number.ts";
import { fitChar, fitText, fitUuid, fitVarchar } from "./fit-text.ts";

/**
 * Writes a BSON value as its column's Avro type and says true where it fits: where PostgreSQL gives the same value
 * back. Otherwise says false, and what it has written is to be taken back.
 */
export type Fit = (
  out: AvroWriter,
  bytes: Buffer,
  type: number,
  start: number,
  end: number,
  column: ColumnType,
) => boolean;

/** Union branches of every nullable field and array item: `["null", T]`. */
export const NULL_BRANCH = 0;
export const VALUE_BRANCH = 2;

const FITS: Readonly<Record<Exclude<ColumnBase, "jsonb">, Fit>> = {
  text: fitText,
  "character varying": fitVarchar,
  character: fitChar,
  smallint: fitSmallint,
  integer: fitInteger,
  bigint: fitBigint,
  real: fitReal,
  "double precision": fitDoublePrecision,
  numeric: fitNumeric,
  boolean: fitBoolean,
  date: fitDate,
  "timestamp without time zone": fitTimestamp,
  "timestamp with time zone": fitTimestamp,
  uuid: fitUuid,
  bytea: fitBytea,
};

/** @param jsonb how a jsonb column takes any value */
export function fitOf(column: ColumnType, jsonb: Fit): Fit {
  const fit = column.base === "jsonb" ? jsonb : FITS[column.base];
  return column.isArray ? fitArrayOf(fit) : fit;
}

/** An array whose items all fit, or are null. */
function fitArrayOf(fitItem: Fit): Fit {
  return (out, bytes, type, start, end, column) => {
    if (type !== BsonType.array) return false;
    const last = end - 1;
    const count = countItems(bytes, start, last);
    if (count > 0) out.writeInt(count);
    for (let at = start + 4; at < last;) {
      const itemType = bytes[at] as number;
      const itemStart = cstringEnd(bytes, at + 1, last);
      at = valueEnd(bytes, itemType, itemStart, last);
      const isNull = itemType === BsonType.null;
      out.appendByte(isNull ? NULL_BRANCH : VALUE_BRANCH);
      if (!isNull && !fitItem(out, bytes, itemType, itemStart, at, column)) return false;
    }
    out.writeInt(0);
    return true;
  };
}

function countItems(bytes: Buffer, start: number, last: number): number {
  let count = 0;
  for (let at = start + 4; at < last; count++) {
    at = valueEnd(bytes, bytes[at] as number, cstringEnd(bytes, at + 1, last), last);
  }
  return count;
}

function fitBoolean(out: AvroWriter, bytes: Buffer, type: number, start: number): boolean {
  if (type !== BsonType.boolean) return false;
  out.appendByte(bytes[start] as number);
  return true;
}

function fitBytea(out: AvroWriter, bytes: Buffer, type: number, start: number, end: number): boolean {
  if (type !== BsonType.binary) return false;
  const subtype = bytes[start + 4];
  if (subtype === BinarySubtype.uuid || subtype === BinarySubtype.legacyUuid) return false;
  out.writeBytes(bytes, binaryStart(bytes, start), end);
  return true;
}

function fitTimestamp(out: AvroWriter, bytes: Buffer, type: number, start: number): boolean {
  if (type !== BsonType.date) return false;
  const low = bytes.readInt32LE(start);
  const high = bytes.readInt32LE(start + 4);
  if (isBefore(high, low, FIRST_MS) || !isBefore(high, low, END_MS)) return false;
  out.writeLong(high, low);
  return true;
}

/** A Date at midnight in UTC. PostgreSQL's dates go further than its timestamps; beyond those they stay in `_extra`. */
function fitDate(out: AvroWriter, bytes: Buffer, type: number, start: number): boolean {
  if (type !== BsonType.date) return false;
  const low = bytes.readInt32LE(start);
  // A day has 2^10 × 84,375 ms; so divided, what a double cannot hold exactly is out of the way.
  if ((low & 1023) !== 0) return false;
  const units = bytes.readInt32LE(start + 4) * 2 ** 22 + (low >>> 10);
  return units % 84_375 === 0 && fitTimestamp(out, bytes, type, start);
}

/** PostgreSQL's timestamps: from 4714-11-24 BC to before 294277-01-01, in ms since 1970, in two halves. */
const FIRST_MS = halves(-210_866_803_200_000n);
const END_MS = halves(9_224_318_016_000_000n);

interface Halves {
  readonly high: number;
  readonly low: number;
}

function halves(value: bigint): Halves {
  return { high: Number(value >> 32n), low: Number(BigInt.asUintN(32, value)) };
}

function isBefore(high: number, low: number, limit: Halves): boolean {
  return high < limit.high || (high === limit.high && low >>> 0 < limit.low);
}
