import { InvalidArgumentError } from "commander";

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function parseTime(text: string, _previous?: unknown, nowMs = Date.now()): Date {
  const [, count, unit = ""] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const date = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : new Date(Number.NaN);
  const time = count === undefined ? date : new Date(nowMs - Number(count) * (UNITS_MS[unit] ?? 0));
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError("Give 2026-11-24T08:00:00Z, or 30m, 12h, 7d.");
  return time;
}

export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === "" || !(seconds >= 0 && seconds <= 86_400))
    throw new InvalidArgumentError("Seconds, 0 to 86400.");
  return seconds;
}
