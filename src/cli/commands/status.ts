import { Command } from "commander";
import type { Config } from "../../config/config-schema.ts";
import { lagOf } from "../../consumers/batches/progress.ts";
import { listDeadLetters } from "../../consumers/dead-letters/queries.ts";
import { openDeadLetterAccess } from "../../operations/dead-letter-access.ts";
import { openPipelineReader, waitUntilCaughtUp } from "../../operations/pipeline-reader.ts";
import type { PipelineReader } from "../../operations/pipeline-reader.ts";
import { tableOf } from "../../operations/tables.ts";
import { clusterTimes, connectMongo } from "../../producers/mongodb/client.ts";
import { versionOf, versionToMs } from "../../schemas/change-event.ts";
import type { Version } from "../../schemas/change-event.ts";
import { partitionKey } from "../../schemas/partitions.ts";
import { onConfig } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { parseSeconds, parseTime } from "../options.ts";
import { textTable } from "../output/text-table.ts";

/** What `status --json` prints; the shape is kept. Times are ISO 8601. */
interface PipelineStatus {
  readonly name: string;
  /** Null where the producer has never run. `clusterTime` is a version in decimal. */
  readonly position: { readonly clusterTime: string; readonly time: string; readonly ageMs: number } | null;
  readonly snapshots: Readonly<Record<string, "running" | "done">>;
  readonly partitions: readonly PartitionStatus[];
  /** The sum over the partitions, in offsets. */
  readonly lag: number;
  readonly deadLetters: readonly { readonly table: string | null; readonly open: number }[];
}

interface PartitionStatus {
  readonly topic: string;
  readonly partition: number;
  readonly table: string | null;
  readonly endOffset: number;
  readonly nextOffset: number;
  readonly lag: number;
}

export function statusCommand(): Command {
  const command = new Command("status")
    .description("Show how far the pipeline is: position, snapshots, lag of each partition, open dead letters.")
    .option("--json", "print a JSON object")
    .option(
      "--wait-for <time>",
      "first wait until every table has all that was in MongoDB at a time: now, ISO 8601, or 30m, 12h, 7d ago",
      (text) => (text === "now" ? text : parseTime(text)),
    )
    .option("--timeout <seconds>", "how long to wait", parseSeconds, 60);
  return onConfig(command, "question", async (context) => {
    const { json, waitFor, timeout } = command.opts<{ json?: true; waitFor?: Date | "now"; timeout: number }>();
    if (waitFor !== undefined) await waitForTables(context, waitFor, timeout * 1000);
    const status = await readStatus(context);
    process.stdout.write(json === true ? `${JSON.stringify(status)}\n` : statusText(status));
  });
}

async function waitForTables(
  { config, logger, signal }: CommandContext,
  time: Date | "now",
  timeoutMs: number,
): Promise<void> {
  const { mongodb, snapshot, collections } = config;
  const clusterTime = time === "now" ? await timeOfSource(mongodb) : endOfSecond(time);
  const reader = await openPipelineReader(config, logger);
  try {
    const named = snapshot.mode === "never" ? [] : Object.keys(collections ?? {});
    await waitUntilCaughtUp(reader, { clusterTime, collections: named, timeoutMs, signal });
  } finally {
    await reader.close();
  }
}

/** The last cluster time of the second that a time is in: MongoDB's are to the second. */
function endOfSecond(time: Date): Version {
  return versionOf(Math.floor(time.getTime() / 1000) + 1, 0) - 1n;
}

async function timeOfSource({ uri, database }: Config["mongodb"]): Promise<Version> {
  const client = await connectMongo({ uri, database });
  try {
    return (await clusterTimes(client.db(database))).majority;
  } finally {
    await client.close();
  }
}

async function readStatus(context: CommandContext): Promise<PipelineStatus> {
  const reader = await openPipelineReader(context.config, context.logger);
  try {
    const [progress, deadLetters] = await Promise.all([
      readProgress(context.config, reader),
      countDeadLetters(context),
    ]);
    return { name: context.config.name, ...progress, deadLetters };
  } finally {
    await reader.close();
  }
}

async function readProgress(
  config: Config,
  reader: PipelineReader,
): Promise<Pick<PipelineStatus, "position" | "snapshots" | "partitions" | "lag">> {
  const [position, ends, progress] = await Promise.all([reader.position(), reader.ends(), reader.progress()]);
  const inOrder = [...ends].sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition);
  const partitions = inOrder.map((end) => ({
    topic: end.topic,
    partition: end.partition,
    table: tableOf(config, end.topic)?.table ?? null,
    endOffset: Number(end.offset),
    nextOffset: Number(progress.get(partitionKey(end)) ?? 0n),
    lag: Number(lagOf(end, progress)),
  }));
  const timeMs = position === null ? 0 : versionToMs(position.clusterTime);
  return {
    position:
      position === null
        ? null
        : {
            clusterTime: String(position.clusterTime),
            time: new Date(timeMs).toISOString(),
            ageMs: Math.max(0, Date.now() - timeMs),
          },
    snapshots: Object.fromEntries(Object.entries(position?.snapshots ?? {}).map(([name, { state }]) => [name, state])),
    partitions,
    lag: partitions.reduce((sum, { lag }) => sum + lag, 0),
  };
}

async function countDeadLetters({ config, logger, signal }: CommandContext): Promise<PipelineStatus["deadLetters"]> {
  const access = await openDeadLetterAccess(config, logger);
  try {
    const letters = await listDeadLetters(access, {}, { signal });
    const byTable = Map.groupBy(letters, ({ info }) => info.table);
    return [...byTable].map(([table, { length }]) => ({ table, open: length }));
  } finally {
    await access.close();
  }
}

function statusText({ name, position, snapshots, partitions, lag, deadLetters }: PipelineStatus): string {
  const lines = [
    `pipeline      ${name}`,
    position === null
      ? "position      none: headrace produce has never run"
      : `position      ${position.time}, ${Math.round(position.ageMs / 1000)} s ago`,
    `snapshots     ${joined(Object.entries(snapshots).map(([collection, state]) => `${collection} ${state}`))}`,
    `dead letters  ${joined(deadLetters.map(({ table: of, open }) => `${of ?? "unknown table"} ${open}`))}`,
    `lag           ${lag}`,
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
