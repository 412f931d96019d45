/** What a text of ISO 8601 stands for, as PostgreSQL's type for it. */
export type IsoType = "date" | "timestamp" | "timestamptz";

/** Longer texts are not looked at. */
export const LONGEST_ISO_BYTES = 40;

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ]([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,9})?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/;

/** Null if the text is no date of ISO 8601, or of a day that no calendar has. */
export function isoTypeOf(text: string): IsoType | null {
  const [match, year = "", month = "", day = "", hour, zone] = ISO.exec(text) ?? [];
  if (match === undefined || !isDay(Number(year), Number(month), Number(day))) return null;
  if (hour === undefined) return "date";
  return zone === undefined ? "timestamp" : "timestamptz";
}

function isDay(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
