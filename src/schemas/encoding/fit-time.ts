import type { AvroWriter } from "../formats/avro-writer.ts";
import { BsonType } from "../formats/bson-reader.ts";
import type { Fit } from "./fit.ts";

/** The range of PostgreSQL's timestamps in ms since 1970: from 4714-11-24 BC to before 294277-01-01. */
const FIRST_MS = halves(-210_866_803_200_000n);
const END_MS = halves(9_224_318_016_000_000n);

export function timestampFit(out: AvroWriter): Fit {
  return (bytes, type, start) => {
    if (!isTimestamp(bytes, type, start)) return false;
    out.writeLong(bytes.readInt32LE(start + 4), bytes.readInt32LE(start));
    return true;
  };
}

/**
 * A Date at midnight in UTC, in days since 1970. PostgreSQL's dates have a larger range than its timestamps; a date beyond
 * the range of timestamps stays in `_extra`.
 */
export function dateFit(out: AvroWriter): Fit {
  return (bytes, type, start) => {
    if (!isTimestamp(bytes, type, start)) return false;
    const days = daysOf(bytes, start);
    if (!Number.isInteger(days)) return false;
    out.writeInt(days);
    return true;
  };
}

/** The same in ms. */
export function dateInMsFit(out: AvroWriter): Fit {
  const fitTimestamp = timestampFit(out);
  return (bytes, type, start, end) =>
    type === BsonType.date && Number.isInteger(daysOf(bytes, start)) && fitTimestamp(bytes, type, start, end);
}

/** @returns not an integer if the time is not midnight */
function daysOf(bytes: Buffer, start: number): number {
  const low = bytes.readInt32LE(start);
  // A day has 2^10 × 84,375 ms. Dividing by 2^10 first leaves a number that a double holds exactly.
  if ((low & 1023) !== 0) return Number.NaN;
  return (bytes.readInt32LE(start + 4) * 2 ** 22 + (low >>> 10)) / 84_375;
}

function isTimestamp(bytes: Buffer, type: number, start: number): boolean {
  if (type !== BsonType.date) return false;
  const low = bytes.readInt32LE(start);
  const high = bytes.readInt32LE(start + 4);
  return !isBefore(high, low, FIRST_MS) && isBefore(high, low, END_MS);
}

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
