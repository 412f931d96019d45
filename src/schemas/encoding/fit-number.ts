import type { AvroWriter } from "../formats/avro-writer.ts";
import { BsonType } from "../formats/bson-reader.ts";
import { decimal128Text, isNegativeZero, parseDecimal } from "../formats/decimal-text.ts";
import { int64Text } from "../formats/value-text.ts";
import { int64Of } from "../keys/canonical-number.ts";
import type { ColumnType } from "../mapping/column-type.ts";
import type { Fit } from "./fit.ts";

/** Smaller numbers have fewer than 24 bits in a float32, too few for 6 decimal digits. */
const LEAST_NORMAL_FLOAT32 = 2 ** -126;

export function smallintFit(out: AvroWriter): Fit {
  return (bytes, type, start) => {
    const value = readInt32(bytes, type, start);
    if (!(value >= -0x8000 && value <= 0x7fff)) return false;
    out.writeInt(value);
    return true;
  };
}

export function integerFit(out: AvroWriter): Fit {
  return (bytes, type, start) => {
    const value = readInt32(bytes, type, start);
    if (Number.isNaN(value)) return false;
    out.writeInt(value);
    return true;
  };
}

export function bigintFit(out: AvroWriter): Fit {
  return (bytes, type, start) => {
    switch (type) {
      case BsonType.int32:
        out.writeInt(bytes.readInt32LE(start));
        return true;
      case BsonType.int64:
        out.writeLong(bytes.readInt32LE(start + 4), bytes.readInt32LE(start));
        return true;
      case BsonType.double: {
        const value = bytes.readDoubleLE(start);
        if (!Number.isInteger(value) || Math.abs(value) > 2 ** 53 || Object.is(value, -0)) return false;
        out.writeSafeLong(value);
        return true;
      }
      case BsonType.decimal128: {
        const value = integerOf(decimal128Text(bytes, start));
        if (value === undefined) return false;
        out.writeBigLong(value);
        return true;
      }
      default:
        return false;
    }
  };
}

export function doublePrecisionFit(out: AvroWriter): Fit {
  return (bytes, type, start) => {
    const value = readDouble(bytes, type, start);
    if (value === undefined) return false;
    out.writeDouble(value);
    return true;
  };
}

export function realFit(out: AvroWriter): Fit {
  return (bytes, type, start) => {
    const value = readDouble(bytes, type, start);
    if (value === undefined || !survivesFloat32(value)) return false;
    out.writeDouble(value);
    return true;
  };
}

export function numericFit(out: AvroWriter, { length: precision, scale = 0 }: ColumnType): Fit {
  return (bytes, type, start) => {
    const text = numericText(bytes, type, start);
    if (text === undefined || isNegativeZero(text)) return false;
    if (precision !== undefined && !fitsPrecision(text, precision, scale)) return false;
    out.writeAscii(text);
    return true;
  };
}

/** @returns NaN if the value is not an integer of 32 bits */
function readInt32(bytes: Buffer, type: number, start: number): number {
  switch (type) {
    case BsonType.int32:
      return bytes.readInt32LE(start);
    case BsonType.int64: {
      const low = bytes.readInt32LE(start);
      return bytes.readInt32LE(start + 4) === low >> 31 ? low : Number.NaN;
    }
    case BsonType.double: {
      const value = bytes.readDoubleLE(start);
      return Object.is(value | 0, value) ? value : Number.NaN;
    }
    case BsonType.decimal128: {
      const value = integerOf(decimal128Text(bytes, start));
      return value !== undefined && BigInt.asIntN(32, value) === value ? Number(value) : Number.NaN;
    }
    default:
      return Number.NaN;
  }
}

/** @returns undefined if the decimal is not an int64, or is the negative zero */
function integerOf(text: string): bigint | undefined {
  const decimal = isNegativeZero(text) ? undefined : parseDecimal(text);
  return decimal === undefined ? undefined : int64Of(decimal);
}

/** @returns undefined if a double cannot hold the value exactly */
function readDouble(bytes: Buffer, type: number, start: number): number | undefined {
  switch (type) {
    case BsonType.double:
      return bytes.readDoubleLE(start);
    case BsonType.int32:
      return bytes.readInt32LE(start);
    case BsonType.int64: {
      const value = bytes.readBigInt64LE(start);
      return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : undefined;
    }
    default:
      return undefined;
  }
}

function survivesFloat32(value: number): boolean {
  const single = Math.fround(value);
  if (Object.is(single, value)) return true;
  return Math.abs(value) >= LEAST_NORMAL_FLOAT32 && Number(single.toPrecision(6)) === value;
}

function numericText(bytes: Buffer, type: number, start: number): string | undefined {
  switch (type) {
    case BsonType.decimal128:
      return decimal128Text(bytes, start);
    case BsonType.double: {
      const value = bytes.readDoubleLE(start);
      return Object.is(value, -0) ? "-0" : String(value);
    }
    case BsonType.int32:
      return String(bytes.readInt32LE(start));
    case BsonType.int64:
      return int64Text(bytes, start);
    default:
      return undefined;
  }
}

/** Whether `numeric(precision,scale)` holds the number without rounding. It takes NaN, but no infinities. */
function fitsPrecision(text: string, precision: number, scale: number): boolean {
  if (text === "NaN") return true;
  const decimal = parseDecimal(text);
  if (decimal === undefined) return false;
  if (decimal.digits === "") return true;
  return decimal.exponent >= -scale && decimal.digits.length + decimal.exponent <= precision - scale;
}
