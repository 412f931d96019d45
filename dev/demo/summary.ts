import Table from "cli-table3";
import type { Copied } from "./copy-snapshot.ts";
import type { Demo } from "./demo.ts";
import type { LiveChanges } from "./live-changes.ts";
import { say } from "./output.ts";
import type { VerifyReport } from "./verify.ts";

interface Results {
  readonly copied: Copied;
  readonly live: LiveChanges;
  readonly verified: VerifyReport;
}

/** Prints a table of the results. */
export function showSummary(demo: Demo, { copied, live, verified }: Results): void {
  const table = new Table({ style: { head: [], border: [] } });
  const rowsPerSecond = Math.round(copied.rows / (copied.durationMs / 1000));
  table.push(
    [
      "snapshot",
      `${number(copied.rows)} rows in ${(copied.durationMs / 1000).toFixed(1)} s (${number(rowsPerSecond)} rows/s)`,
    ],
    [
      "live changes",
      `${number(live.inserts)} inserts, ${number(live.updates)} updates, ${number(live.deletes)} deletes`,
    ],
    [
      "latency",
      `p50 ${quantile(live.latenciesMs, 0.5)} ms, p99 ${quantile(live.latenciesMs, 0.99)} ms, from acknowledged to visible`,
    ],
    ["poison record", "became a dead letter, was fixed and replayed"],
    ...demo.processes.map((each) => [
      `memory of headrace ${each.name}`,
      `${Math.round(each.peakMemoryBytes / 2 ** 20)} MB at its peak`,
    ]),
    ...verified.collections.map((each) => [
      `verify ${each.collection}`,
      `${number(each.documents)} documents = ${number(each.rows)} rows`,
    ]),
  );
  say(`\n${table.toString()}\nEqual: every document was compared with its row.`);
}

function number(value: number): string {
  return value.toLocaleString("en");
}

function quantile(values: readonly number[], q: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN).toFixed(1);
}
