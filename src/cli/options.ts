import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import type { Config } from "../config/config-schema.ts";
import { closest } from "../config/explain-issues.ts";
import type { DeadLetterFilter } from "../consumers/dead-letters/queries.ts";
import { ERRORS } from "../errors/codes.ts";

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * The time that an option gives.
 * @param text ISO 8601, or a time ago: a number with s, m, h or d
 * @throws InvalidArgumentError
 */
export function parseTime(text: string, _previous?: unknown, nowMs = Date.now()): Date {
  const [, count, unit = ""] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const date = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : new Date(Number.NaN);
  const time = count === undefined ? date : new Date(nowMs - Number(count) * (UNITS_MS[unit] ?? 0));
  if (Number.isNaN(time.getTime()))
    throw new InvalidArgumentError("Give a time like 2026-11-24T08:00:00Z, or a time ago: 30m, 12h, 7d.");
  return time;
}

/** A number of seconds, up to a day. @throws InvalidArgumentError */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === "" || !(seconds >= 0 && seconds <= 86_400))
    throw new InvalidArgumentError("Give a number of seconds from 0 to 86400.");
  return seconds;
}

/** A number of milliseconds, up to a day. @throws InvalidArgumentError */
export function parseMilliseconds(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= 86_400_000) return Number(text);
  throw new InvalidArgumentError("Give a number of milliseconds from 0 to 86400000.");
}

/** For the commands that move changes. */
export function traceSlowOption(): Option {
  return new Option(
    "--trace-slow <ms>",
    "log where changes spend their time that take longer than this, in ms (default: log.traceSlowMs of the config)",
  ).argParser(parseMilliseconds);
}

/** The context with what `traceSlowOption` says in place of the config's setting. */
export function withTraceSlow<T extends { readonly config: Config }>(context: T, command: Command): T {
  const { config } = context;
  const { traceSlow = config.log.traceSlowMs } = command.opts<{ traceSlow?: number }>();
  return { ...context, config: { ...config, log: { ...config.log, traceSlowMs: traceSlow } } };
}

/** A code of Headrace, or a SQLSTATE; a trigger may raise any. @throws InvalidArgumentError */
export function parseErrorCode(text: string): string {
  if (Object.hasOwn(ERRORS, text) || /^[0-9A-Z]{5}$/.test(text)) return text;
  const suggestion = closest(text, Object.keys(ERRORS));
  const meant = suggestion === null ? "" : ` Did you mean ${suggestion}?`;
  throw new InvalidArgumentError(`Give a code of docs/errors.md, or a SQLSTATE such as 23505.${meant}`);
}

const FILTERS = ["table", "error", "since", "until", "key"] as const;

/** Adds the filters that `dlq list`, `replay` and `discard` share. */
export function withFilters(command: Command): Command {
  return command
    .option("--table <name>", "only those of this table; NAME or SCHEMA.NAME")
    .option("--error <code>", "only those with this error: a code of Headrace, or a SQLSTATE", parseErrorCode)
    .option(
      "--since <time>",
      "only those that failed at this time or later; ISO 8601, or a time ago: 30m, 12h, 7d",
      parseTime,
    )
    .option("--until <time>", "only those that failed before this time", parseTime)
    .option(
      "--key <key>",
      "only those of the document with this key, as `headrace dlq list` prints it; without a readable key, give the id",
    );
}

/** The dead letters that the arguments select. @param ids none: of any id */
export function filterOf(command: Command, ids: readonly string[]): DeadLetterFilter {
  const { table, error, since, until, key } = command.opts<Omit<DeadLetterFilter, "ids">>();
  return { table, error, since, until, key, ids: ids.length === 0 ? undefined : ids };
}

/** Whether at least one filter is given. */
export function isFiltered(command: Command): boolean {
  const options = command.opts<Record<string, unknown>>();
  return FILTERS.some((name) => options[name] !== undefined);
}
