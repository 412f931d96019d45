import type { Config } from "../config/config-schema.ts";
import { lagOf } from "../consumers/batches/progress.ts";
import { listDeadLetters } from "../consumers/dead-letters/queries.ts";
import { clusterTimes } from "../producers/mongodb/client.ts";
import { versionOf, versionToMs } from "../schemas/change-event.ts";
import type { Position, Version } from "../schemas/change-event.ts";
import { partitionKey } from "../schemas/partitions.ts";
import type { Context } from "./context.ts";
import { openDeadLetterAccess } from "./dead-letter-access.ts";
import { RESTART_PRODUCER } from "./old-mappings.ts";
import { openPipelineReader, waitUntilCaughtUp } from "./pipeline-reader.ts";
import type { PipelineReader } from "./pipeline-reader.ts";
import { tableProblem } from "./register/judged-tables.ts";
import type { JudgedTable } from "./register/judged-tables.ts";
import { producerProblem } from "./register/producer-verdict.ts";
import { withDatabase } from "./source-database.ts";
import { tableOf } from "./tables.ts";

/** How far a pipeline is. `headrace status --json` prints this shape, so it must not change. Times are ISO 8601. */
export interface PipelineStatus {
  readonly name: string;
  /** Null if the producer has never run, or Kafka has lost its position. `clusterTime` is a version in decimal. */
  readonly position: { readonly clusterTime: string; readonly time: string; readonly ageMs: number } | null;
  /** `problem` says what the next start of the producer does about what Kafka has lost; null: nothing is lost. */
  readonly producer: { readonly problem: string | null };
  readonly snapshots: Readonly<Record<string, "running" | "done">>;
  /** The collections that cannot be replicated, with the reason. */
  readonly leftOut: Readonly<Record<string, string>>;
  readonly partitions: readonly PartitionStatus[];
  readonly tables: readonly TableStatus[];
  /** The sum over the partitions, in offsets. */
  readonly lag: number;
  readonly deadLetters: readonly { readonly table: string | null; readonly open: number }[];
}

/** `problem` says why the table is not complete, whatever the lag; null if nothing is known against it. */
export interface TableStatus {
  readonly collection: string;
  readonly table: string;
  readonly problem: string | null;
}

/** `nextOffset` is the offset that the consumer applies next. */
export interface PartitionStatus {
  readonly topic: string;
  readonly partition: number;
  readonly table: string | null;
  readonly endOffset: number;
  readonly nextOffset: number;
  readonly lag: number;
}

/** Reads the status from Kafka and PostgreSQL. @throws HeadraceError */
export async function readPipelineStatus(context: Context): Promise<PipelineStatus> {
  const { config, logger } = context;
  const reader = await openPipelineReader(config, logger);
  try {
    const [progress, deadLetters] = await Promise.all([readProgress(config, reader), countDeadLetters(context)]);
    return { name: config.name, ...progress, deadLetters };
  } finally {
    await reader.close();
  }
}

async function readProgress(
  config: Config,
  reader: PipelineReader,
): Promise<Pick<PipelineStatus, "position" | "producer" | "snapshots" | "leftOut" | "partitions" | "tables" | "lag">> {
  const [position, producer, ends, progress, tables] = await Promise.all([
    reader.position(),
    reader.producer(),
    reader.ends(),
    reader.progress(),
    reader.tables(),
  ]);
  const inOrder = [...ends].sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition);
  const partitions = inOrder.map((end) => ({
    topic: end.topic,
    partition: end.partition,
    table: tableOf(config, end.topic)?.table ?? null,
    endOffset: Number(end.offset),
    nextOffset: Number(progress.get(partitionKey(end)) ?? 0n),
    lag: Number(lagOf(end, progress)),
  }));
  const old = reader.oldMappings(position);
  const statusOf = (judged: JudgedTable) => tableStatus(judged, old.includes(judged.wanted.collection));
  return {
    position: position === null ? null : positionStatus(position),
    producer: { problem: producerProblem(producer) },
    snapshots: Object.fromEntries([...(position?.snapshots ?? [])].map(([name, { state }]) => [name, state])),
    leftOut: Object.fromEntries(position?.leftOut ?? []),
    partitions,
    tables: tables
      .map(statusOf)
      .filter(({ problem }, index) => problem !== null || tables[index]?.isRegistered === true),
    lag: partitions.reduce((sum, { lag }) => sum + lag, 0),
  };
}

function tableStatus(judged: JudgedTable, hasOldMapping: boolean): TableStatus {
  const { collection, table } = judged.wanted;
  const old = `the producer has made its records with another mapping than this config's. ${RESTART_PRODUCER}`;
  const problem = tableProblem(judged) ?? (hasOldMapping ? old : null);
  return { collection, table: `${table.schema}.${table.table}`, problem };
}

function positionStatus({ clusterTime }: Position): NonNullable<PipelineStatus["position"]> {
  const timeMs = versionToMs(clusterTime);
  return {
    clusterTime: String(clusterTime),
    time: new Date(timeMs).toISOString(),
    ageMs: Math.max(0, Date.now() - timeMs),
  };
}

async function countDeadLetters({ config, logger, signal }: Context): Promise<PipelineStatus["deadLetters"]> {
  const access = await openDeadLetterAccess(config, logger);
  try {
    const letters = await listDeadLetters(access, {}, { signal });
    const byTable = Map.groupBy(letters, (letter) => letter.table);
    return [...byTable].map(([table, { length }]) => ({ table, open: length }));
  } finally {
    await access.close();
  }
}

/**
 * Waits until everything that was in MongoDB at a time is in the tables. The pipeline must be running. Unless snapshots
 * are switched off, this includes a snapshot of every collection that the config names.
 * @param time "now": the time of the newest write that a majority of MongoDB's members has
 * @throws HeadraceError CATCH_UP_TIMEOUT after `timeoutMs`
 */
export async function waitForTables(
  { config, logger, signal }: Context,
  { time, timeoutMs }: { readonly time: Date | "now"; readonly timeoutMs: number },
): Promise<void> {
  const { mongodb, snapshot, collections } = config;
  const clusterTime = time === "now" ? await timeOfSource(mongodb) : endOfSecond(time);
  const reader = await openPipelineReader(config, logger);
  try {
    const named = snapshot.mode === "never" ? [] : [...(collections?.keys() ?? [])];
    await waitUntilCaughtUp(reader, { clusterTime, collections: named, timeoutMs, signal });
  } finally {
    await reader.close();
  }
}

function timeOfSource(mongodb: Config["mongodb"]): Promise<Version> {
  return withDatabase(mongodb, async (db) => (await clusterTimes(db)).majority);
}

/** The last cluster time of the second that a time is in: MongoDB's cluster times count whole seconds. */
function endOfSecond(time: Date): Version {
  return versionOf(Math.floor(time.getTime() / 1000) + 1, 0) - 1n;
}
