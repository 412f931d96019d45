import type { Decimal } from "../formats/decimal-text.ts";

const ZERO: Decimal = { isNegative: false, digits: "", exponent: 0 };
/** The digits of a Decimal128. A double with more digits is equal to no number of another type. */
const DECIMAL128_DIGITS = 34;
/** 5^48 is the highest power of five with at most 34 digits. */
const LONGEST_FRACTION_BITS = 48;
const COEFFICIENT_LIMIT = 10n ** BigInt(DECIMAL128_DIGITS);
const COEFFICIENT_MASK = (1n << 49n) - 1n;

/**
 * A number as Extended JSON, with one text for all numbers that MongoDB treats as equal: an int64 if the value is one,
 * otherwise a Decimal128 if that has exactly this value, otherwise a double (0.1, 1e300, NaN).
 */
export function keyDouble(value: number): string {
  if (Number.isSafeInteger(value)) return canonicalInteger(BigInt(value));
  const decimal = Number.isFinite(value) ? exactDecimal(value) : undefined;
  return decimal === undefined ? `{"$numberDouble":"${value}"}` : canonicalDecimal(decimal);
}

/** @param start where the 16 bytes of a Decimal128 begin */
export function canonicalDecimal128(bytes: Buffer, start: number): string {
  const value = decimal128Value(bytes, start);
  return typeof value === "number" ? keyDouble(value) : canonicalDecimal(value);
}

export function canonicalInteger(value: bigint): string {
  return `{"$numberLong":"${value}"}`;
}

/** The value of a Decimal128; a number if it is NaN or infinite. IEEE 754-2008, §3.5.2, binary encoding. */
export function decimal128Value(bytes: Buffer, start: number): Decimal | number {
  const top = bytes.readUInt32LE(start + 12);
  const isNegative = top >>> 31 === 1;
  const combination = (top >>> 26) & 0x1f;
  if (combination === 0x1f) return Number.NaN;
  if (combination === 0x1e) return isNegative ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const coefficient = ((bytes.readBigUInt64LE(start + 8) & COEFFICIENT_MASK) << 64n) | bytes.readBigUInt64LE(start);
  // The standard says that a coefficient of more than 34 digits is zero.
  if (combination >= 0x18 || coefficient >= COEFFICIENT_LIMIT) return ZERO;
  return decimalOf(isNegative, coefficient, ((top >>> 17) & 0x3fff) - 6176);
}

/** @returns undefined if the decimal is not an int64. The negative zero becomes 0. */
export function int64Of({ isNegative, digits, exponent }: Decimal): bigint | undefined {
  if (exponent < 0 || digits.length + exponent > 19) return undefined;
  const magnitude = BigInt(digits) * 10n ** BigInt(exponent);
  const value = isNegative ? -magnitude : magnitude;
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

function canonicalDecimal(decimal: Decimal): string {
  const integer = int64Of(decimal);
  return integer === undefined ? `{"$numberDecimal":"${decimalText(decimal)}"}` : canonicalInteger(integer);
}

/** In the form of Decimal128's `toString`. */
function decimalText({ isNegative, digits, exponent }: Decimal): string {
  const sign = isNegative ? "-" : "";
  const adjusted = exponent + digits.length - 1;
  if (exponent > 0 || adjusted < -6) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${sign}${digits.charAt(0)}${fraction}E${adjusted < 0 ? "" : "+"}${adjusted}`;
  }
  const padded = digits.padStart(1 - exponent, "0");
  const point = padded.length + exponent;
  return exponent === 0 ? `${sign}${digits}` : `${sign}${padded.slice(0, point)}.${padded.slice(point)}`;
}

/** The exact value of a double; undefined if a Decimal128 has too few digits for it. */
function exactDecimal(value: number): Decimal | undefined {
  const { mantissa, exponent } = binaryParts(Math.abs(value));
  if (exponent < -LONGEST_FRACTION_BITS) return undefined;
  const all = exponent < 0 ? mantissa * 5n ** BigInt(-exponent) : mantissa << BigInt(exponent);
  const decimal = decimalOf(value < 0, all, Math.min(exponent, 0));
  return decimal.digits.length > DECIMAL128_DIGITS ? undefined : decimal;
}

function decimalOf(isNegative: boolean, coefficient: bigint, exponent: number): Decimal {
  if (coefficient === 0n) return ZERO;
  const all = String(coefficient);
  const digits = all.replace(/0+$/, "");
  return { isNegative, digits, exponent: exponent + all.length - digits.length };
}

/** A positive double as `mantissa × 2^exponent` with an odd mantissa. */
function binaryParts(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number(bits >> 52n);
  let mantissa = bits & 0xf_ffff_ffff_ffffn;
  let exponent = Math.max(biased, 1) - 1075;
  if (biased > 0) mantissa |= 1n << 52n;
  while ((mantissa & 1n) === 0n) {
    mantissa >>= 1n;
    exponent++;
  }
  return { mantissa, exponent };
}
