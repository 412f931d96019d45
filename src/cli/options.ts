import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import type { DeadLetterFilter } from "../consumers/dead-letters/queries.ts";

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

const FILTERS = ["table", "error", "since", "until", "key"] as const;

/** Adds the filters that list, replay and discard share. */
export function withFilters(command: Command): Command {
  return command
    .option("--table <name>", "of this table: name or schema.name")
    .option("--error <code>", "with this code of Headrace's or SQLSTATE")
    .option("--since <time>", "that failed at this time or later: ISO 8601, or 30m, 12h, 7d ago", parseTime)
    .option("--until <time>", "that failed before this time", parseTime)
    .option("--key <key>", "of this document, as the column _id has it");
}

/** @param ids those that are meant; none where all are. */
export function filterOf(command: Command, ids: readonly string[]): DeadLetterFilter {
  const { table, error, since, until, key } = command.opts<Omit<DeadLetterFilter, "ids">>();
  return { table, error, since, until, key, ids: ids.length === 0 ? undefined : ids };
}

export function isFiltered(command: Command): boolean {
  const options = command.opts<Record<string, unknown>>();
  return FILTERS.some((name) => options[name] !== undefined);
}
