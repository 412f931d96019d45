// What a column's cell has to say, of values that avsc has decoded.
import type { ColumnBase, ColumnType } from "../../../src/schemas/mapping/column-type.ts";

/** A TypeError where the column's Avro type cannot have such a value. */
export function expectedTextOf(type: ColumnType): (decoded: unknown) => string | null {
  const ofLong = LONG_TEXTS[type.base] ?? String;
  const inMs = (value: unknown) =>
    type.base === "date" && typeof value === "number" ? BigInt(value) * 86_400_000n : value;
  if (type.isArray)
    return (decoded) => (decoded === null ? null : arrayLiteral((decoded as unknown[]).map(inMs), ofLong));
  return (decoded) => (decoded === null ? null : textOf(inMs(decoded), ofLong));
}

type LongText = (value: bigint) => string;

/** The columns for which a long is not a number. */
const LONG_TEXTS: Partial<Record<ColumnBase, LongText>> = {
  // In ms, as version 0.1.0 registered them. Today they are ints.
  date: (ms) => timestampText(ms, 10, ""),
  "timestamp without time zone": (ms) => timestampText(ms, 23, ""),
  "timestamp with time zone": (ms) => timestampText(ms, 23, "Z"),
};

/** By the value, not the column's type: a widened column has values of its old Avro type, too. */
function textOf(decoded: unknown, ofLong: LongText): string {
  if (typeof decoded === "string") return decoded;
  if (typeof decoded === "bigint") return ofLong(decoded);
  if (Object.is(decoded, -0)) return "-0";
  if (typeof decoded === "number" || typeof decoded === "boolean") return String(decoded);
  if (Buffer.isBuffer(decoded)) return `\\x${decoded.toString("hex")}`;
  throw new TypeError("no value of a column");
}

/** 0001-01-01 and 10000-01-01: years of four digits. */
const FIRST_MS = -62_135_596_800_000n;
const AFTER_LAST_MS = 253_402_300_800_000n;
/** The calendar repeats itself after 400 years. */
const CYCLE_YEARS = 400;
const CYCLE_MS = 146_097n * 86_400_000n;

/**
 * A time in UTC as PostgreSQL reads it: ISO 8601, but years beyond 9999 without a sign, and those before 1 as BC.
 * @param length how much of `2024-01-31T00:00:00.000` is wanted
 */
function timestampText(ms: bigint, length: number, zone: string): string {
  if (ms >= FIRST_MS && ms < AFTER_LAST_MS) return new Date(Number(ms)).toISOString().slice(0, length) + zone;
  const cycles = ms / CYCLE_MS - (ms < 0n ? 1n : 0n);
  const text = new Date(Number(ms - cycles * CYCLE_MS)).toISOString();
  const year = Number(text.slice(0, 4)) + Number(cycles) * CYCLE_YEARS;
  const era = year > 0 ? "" : " BC";
  return String(year > 0 ? year : 1 - year).padStart(4, "0") + text.slice(4, length) + zone + era;
}

function arrayLiteral(elements: readonly unknown[], ofLong: LongText): string {
  return `{${elements.map((element) => (element === null ? "NULL" : quoted(textOf(element, ofLong)))).join(",")}}`;
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
