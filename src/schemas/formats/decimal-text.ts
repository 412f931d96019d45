import { Decimal128 } from "bson";

/** A finite decimal, `digits × 10^exponent`. */
export interface Decimal {
  readonly isNegative: boolean;
  /** Without leading or trailing zeros; empty for zero. */
  readonly digits: string;
  readonly exponent: number;
}

/** PostgreSQL would store all digits: more than 6,000 for 9E+6111. */
const MOST_PLAIN_CHARACTERS = 400;

const DECIMAL = /^(-?)0*([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?$/;
const NEGATIVE_ZERO = /^-0(?:\.0*)?(?:E|$)/;

/**
 * The text of a Decimal128's 16 bytes: the same as `toString` of `bson`, but faster
 * (docs/adr/0001-raw-bson-to-avro.md).
 */
export function decimal128Text(bytes: Buffer, start: number): string {
  const high = bytes.readInt32LE(start + 12);
  const middle = bytes.readUInt32LE(start + 4);
  const exponent = ((high >>> 17) & 0x3fff) - 6176;
  const isSmall = (high & 0x1ffff) === 0 && bytes.readInt32LE(start + 8) === 0 && middle < 0x200000;
  const digits = isSmall ? String(middle * 0x100000000 + bytes.readUInt32LE(start)) : "";
  const point = digits.length + exponent;
  // The others are NaN, infinite, large, or written with an exponent.
  if (!isSmall || ((high >>> 29) & 3) === 3 || exponent > 0 || point < -5) {
    return new Decimal128(bytes.subarray(start, start + 16)).toString();
  }
  const sign = high < 0 ? "-" : "";
  if (exponent === 0) return sign + digits;
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

export function isNegativeZero(text: string): boolean {
  return NEGATIVE_ZERO.test(text);
}

/** Parses the text of `decimal128Text` or of a number's `toString`; undefined for NaN and infinities. */
export function parseDecimal(text: string): Decimal | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const fraction = match[3] ?? "";
  const all = `${match[2]}${fraction}`.replace(/^0+/, "");
  const digits = all.replace(/0+$/, "");
  const exponent = Number(match[4] ?? 0) - fraction.length + all.length - digits.length;
  return { isNegative: match[1] === "-", digits, exponent: digits === "" ? 0 : exponent };
}

/** The text without an exponent, with all digits, zero without a sign; undefined if it would be too long. */
export function plainDigits(text: string): string | undefined {
  if (!text.includes("E") && !text.startsWith("-0")) return text;
  const unsigned = text.startsWith("-") ? text.slice(1) : text;
  const [coefficient = "", power] = unsigned.split("E");
  const [whole = "", fraction = ""] = coefficient.split(".");
  const digits = whole + fraction;
  const isZero = /^0+$/.test(digits);
  const point = isZero ? Math.min(whole.length + Number(power ?? 0), 1) : whole.length + Number(power ?? 0);
  if (Math.abs(point) > MOST_PLAIN_CHARACTERS) return undefined;
  const plain = power === undefined ? unsigned : movePoint(digits, point);
  const signed = text.startsWith("-") && !isZero ? `-${plain}` : plain;
  return signed.length <= MOST_PLAIN_CHARACTERS ? signed : undefined;
}

function movePoint(digits: string, point: number): string {
  if (point >= digits.length) return digits + "0".repeat(point - digits.length);
  if (point > 0) return `${digits.slice(0, point)}.${digits.slice(point)}`;
  return `0.${"0".repeat(-point)}${digits}`;
}
