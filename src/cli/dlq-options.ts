import type { Command } from "commander";
import type { DeadLetterFilter } from "../consumers/dead-letters/queries.ts";
import { parseTime } from "./options.ts";

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
