import type { AvroReader } from "../formats/avro-reader.ts";
import type { CellWriter } from "./cells.ts";

const DAY_MS = 86_400_000;
const MINUS = 0x2d;
const POINT = 0x2e;
const COLON = 0x3a;
const LETTER_T = 0x54;
/** 400 years, after which the calendar repeats. */
const CYCLE_DAYS = 146_097;
/** Days from 0000-03-01 to 1970-01-01. */
const EPOCH_DAY = 719_468;

/**
 * Appends the long that was read last, in ms since 1970, as a time in UTC. The form is PostgreSQL's: ISO 8601, but
 * years after 9999 without a sign, and years before 1 with " BC".
 * @param zone undefined to append only the date
 */
export function appendTime(cells: CellWriter, reader: AvroReader, zone: "" | "Z" | undefined): void {
  const { days, ms } = split(reader);
  const isBeforeChrist = appendDate(cells, days);
  if (zone !== undefined) {
    appendTimeOfDay(cells, ms);
    cells.appendAscii(zone);
  }
  if (isBeforeChrist) cells.appendAscii(" BC");
}

/** The same for days since 1970, without a time of day. */
export function appendDay(cells: CellWriter, days: number): void {
  if (appendDate(cells, days)) cells.appendAscii(" BC");
}

/** @returns days since 1970, and milliseconds of the day */
function split(reader: AvroReader): { days: number; ms: number } {
  if (reader.isSafe) {
    const days = Math.floor(reader.number / DAY_MS);
    return { days, ms: reader.number - days * DAY_MS };
  }
  const rest = reader.bigint % BigInt(DAY_MS);
  const days = Number(reader.bigint / BigInt(DAY_MS));
  return rest < 0n ? { days: days - 1, ms: Number(rest) + DAY_MS } : { days, ms: Number(rest) };
}

/**
 * Uses the proleptic Gregorian calendar with years that begin in March (Howard Hinnant, "chrono-Compatible Low-Level
 * Date Algorithms").
 * @returns whether the year is before 1
 */
function appendDate(cells: CellWriter, daysSince1970: number): boolean {
  const cycle = Math.floor((daysSince1970 + EPOCH_DAY) / CYCLE_DAYS);
  const dayOfCycle = (daysSince1970 + EPOCH_DAY - cycle * CYCLE_DAYS) | 0;
  const leapDays = div(dayOfCycle, 1_460) - div(dayOfCycle, 36_524) + div(dayOfCycle, 146_096);
  const yearOfCycle = div(dayOfCycle - leapDays, 365);
  const dayOfYear = dayOfCycle - (365 * yearOfCycle + div(yearOfCycle, 4) - div(yearOfCycle, 100));
  const monthFromMarch = div(5 * dayOfYear + 2, 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0);
  cells.appendPadded(year > 0 ? year : 1 - year, 4);
  cells.appendByte(MINUS);
  cells.appendPadded(month, 2);
  cells.appendByte(MINUS);
  cells.appendPadded(dayOfYear - div(153 * monthFromMarch + 2, 5) + 1, 2);
  return year <= 0;
}

function appendTimeOfDay(cells: CellWriter, ms: number): void {
  const seconds = div(ms, 1_000);
  const minutes = div(seconds, 60);
  const hours = div(minutes, 60);
  cells.appendByte(LETTER_T);
  cells.appendPadded(hours, 2);
  cells.appendByte(COLON);
  cells.appendPadded(minutes - hours * 60, 2);
  cells.appendByte(COLON);
  cells.appendPadded(seconds - minutes * 60, 2);
  cells.appendByte(POINT);
  cells.appendPadded(ms - seconds * 1_000, 3);
}

/** Divides integers from 0 to 2^31 - 1. */
function div(dividend: number, divisor: number): number {
  return (dividend / divisor) | 0;
}
