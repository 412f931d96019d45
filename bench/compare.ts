// npm run bench:compare A B: the figures of two records of bench/history, as ratios.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { textTable } from "../src/cli/output/text-table.ts";
import { compareRecords } from "./comparison.ts";
import type { ComparedFigure } from "./comparison.ts";
import { newestOf } from "./record.ts";
import type { BenchRecord } from "./record.ts";

const history = new URL("history/", import.meta.url);

const USAGE = `Usage: npm run bench:compare -- BEFORE AFTER

BEFORE and AFTER are commits (at least four digits of the hash) or files. Of a commit with several records, the newest
one counts. bench/history has:`;

/** @param what a file, or a commit of which the history has a record */
function readRecord(what: string): BenchRecord {
  const name = existsSync(what) ? undefined : newestOf(readdirSync(history), what);
  if (name === undefined && !existsSync(what)) {
    throw new Error(`There is no file ${what}, and bench/history has no record of a commit ${what}.`);
  }
  return JSON.parse(readFileSync(name === undefined ? what : new URL(name, history), "utf8")) as BenchRecord;
}

function show(before: BenchRecord, after: BenchRecord): void {
  const { figures, warnings } = compareRecords(before, after);
  for (const [label, { commit, subject, measuredAt }] of [
    ["before", before],
    ["after", after],
  ] as const)
    console.log(`${label.padEnd(6)} ${commit.slice(0, 7)} ${measuredAt} ${subject}`);
  console.log(`\n${textTable(["figure", "before", "after", "after / before", ""], figures.map(rowOf))}`);
  for (const warning of warnings) console.log(`Warning: ${warning}`);
}

function rowOf({ name, before, after, ratio, verdict }: ComparedFigure): (string | number)[] {
  return [name, before, after, ratio.toFixed(2), verdict === "same" ? "" : verdict];
}

const { positionals } = parseArgs({ allowPositionals: true });
const [before, after] = positionals;
if (before === undefined || after === undefined || positionals.length > 2) {
  const names = readdirSync(history).filter((name) => name.endsWith(".json"));
  console.error([USAGE, ...names.toSorted().map((name) => `  ${name}`)].join("\n"));
  process.exitCode = 2;
} else {
  try {
    show(readRecord(before), readRecord(after));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
