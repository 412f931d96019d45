import { Command } from "commander";
import { readPipelineStatus, waitForTables } from "../../operations/pipeline-status.ts";
import type { PipelineStatus } from "../../operations/pipeline-status.ts";
import { onConfig } from "../command-context.ts";
import { parseSeconds, parseTime } from "../options.ts";
import { textTable } from "../output/text-table.ts";

export function statusCommand(): Command {
  const command = new Command("status")
    .description("Show the position, the snapshots, the lag of each partition and the number of open dead letters.")
    .option("--json", "print JSON")
    .option(
      "--wait-for <time>",
      "first wait until every table has all changes up to a time, while producer and consumer run: now, ISO 8601, or a time ago: 30m, 12h, 7d",
      (text) => (text === "now" ? text : parseTime(text)),
    )
    .option("--timeout <seconds>", "how long --wait-for waits before it fails", parseSeconds, 60);
  return onConfig(command, "question", async (context) => {
    const { json, waitFor, timeout } = command.opts<{ json?: true; waitFor?: Date | "now"; timeout: number }>();
    if (waitFor !== undefined) await waitForTables(context, { time: waitFor, timeoutMs: timeout * 1000 });
    const status = await readPipelineStatus(context);
    process.stdout.write(json === true ? `${JSON.stringify(status)}\n` : statusText(status));
  });
}

function statusText({
  name,
  position,
  producer,
  snapshots,
  leftOut,
  partitions,
  tables,
  lag,
  deadLetters,
}: PipelineStatus): string {
  const isUnused = partitions.length === 0 && tables.length === 0;
  const lines = [
    `pipeline      ${name}`,
    position === null
      ? `position      none: ${isUnused ? "headrace produce has never run" : "headrace produce has never run, or Kafka has lost its position"}`
      : `position      ${position.time}, ${Math.round(position.ageMs / 1000)} s ago`,
    ...(producer.problem === null ? [] : [`producer      ${producer.problem}`]),
    `snapshots     ${joined(Object.entries(snapshots).map(([collection, state]) => `${collection} ${state}`))}`,
    ...Object.entries(leftOut).map(([collection, why]) => `left out      ${collection}: ${why}`),
    `dead letters  ${joined(deadLetters.map(({ table: of, open }) => `${of ?? "unknown table"} ${open}`))}`,
    `lag           ${lag}`,
    ...tables.flatMap(({ table, problem }) => (problem === null ? [] : [`incomplete    ${table}: ${problem}`])),
  ];
  const rows = partitions.map((each) => [
    each.topic,
    each.partition,
    each.table ?? "–",
    each.endOffset,
    each.nextOffset,
    each.lag,
  ]);
  const table = rows.length > 0 ? textTable(["topic", "partition", "table", "end", "next", "lag"], rows) : "";
  return `${lines.join("\n")}\n${table}`;
}

function joined(parts: readonly string[]): string {
  return parts.length === 0 ? "none" : parts.join(", ");
}
