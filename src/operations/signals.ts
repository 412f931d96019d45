import type { Db } from "mongodb";
import type { CommandContext } from "../cli/command-context.ts";
import type { Config } from "../config/config-schema.ts";
import { HeadraceError } from "../errors/error.ts";
import { listTopics } from "../kafka/admin.ts";
import { sendSignals } from "../producers/kafka/signals.ts";
import { KafkaTopics } from "../producers/kafka/topics.ts";
import { connectMongo } from "../producers/mongodb/client.ts";
import { findCollections } from "../producers/mongodb/collections.ts";
import { pause } from "../runtime/waiting.ts";
import type { Position } from "../schemas/change-event.ts";
import type { PartitionOffset } from "../schemas/partitions.ts";
import type { Signal } from "../schemas/signal.ts";
import { collectionOf } from "../schemas/topics.ts";
import { kafkaClient } from "./connections.ts";
import { isApplied, lagOf, openPipelineReader } from "./pipeline-reader.ts";
import type { PipelineReader } from "./pipeline-reader.ts";

const POLL_MS = 200;
/** A running producer stores a position every second, also when nothing changes; MongoDB's clock ticks every ten. */
const SILENCE_MS = 30_000;

/** Opens the source's database for a command that is about collections. */
export async function withDatabase<T>({ mongodb }: Config, use: (db: Db) => Promise<T>): Promise<T> {
  const client = await connectMongo(mongodb);
  try {
    return await use(client.db(mongodb.database));
  } finally {
    await client.close();
  }
}

/** Those that the pipeline replicates; of a whole database, those that it has published and that are gone, too. */
export async function replicatedCollections({ config, logger }: CommandContext, db: Db): Promise<readonly string[]> {
  const { name, mongodb, collections } = config;
  const wanted = collections === undefined ? null : Object.keys(collections);
  const { names } = await findCollections(db, wanted, () => true);
  if (wanted !== null) return names;
  const topics = await listTopics(await kafkaClient(config, logger), () => true);
  const published = topics.flatMap((topic) => collectionOf(name, mongodb.database, topic) ?? []);
  return [...new Set([...names, ...published])].toSorted();
}

/** @throws HeadraceError COLLECTION_NOT_REPLICATED */
export async function requireReplicated(context: CommandContext, db: Db, collection: string): Promise<void> {
  if ((await replicatedCollections(context, db)).includes(collection)) return;
  throw new HeadraceError("COLLECTION_NOT_REPLICATED", {
    message: `The pipeline does not replicate a collection ${JSON.stringify(collection)}.`,
  });
}

/**
 * Sends the signals, whether a producer runs or not.
 * @returns the last one's offset
 */
export async function send({ config, logger }: CommandContext, signals: readonly Signal[]): Promise<bigint> {
  const { name, mongodb, kafka: settings } = config;
  const kafka = await kafkaClient(config, logger);
  await new KafkaTopics({ kafka, name, database: mongodb.database, ...settings }).prepareInternal();
  return sendSignals(kafka, name, signals);
}

/** Sends the signals and says so; where it is asked to, waits until what they ask for is in the tables. */
export async function sendAndTell(
  context: CommandContext,
  signals: readonly Signal[],
  { wait }: { readonly wait: boolean },
): Promise<void> {
  if (wait) {
    await sendAndWait(context, signals, { isPatient: true });
    process.stdout.write("Done: it is in the tables.\n");
  } else {
    await send(context, signals);
    process.stdout.write("Sent. A running producer begins it at once, another one at its next start.\n");
  }
}

/**
 * Sends the signals and waits until what they ask for is in the tables. Says so where nothing moves for a while, as no
 * producer or no consumer runs, and goes on waiting if it is patient.
 * @returns false where it has given up; what was asked for is done when the pipeline runs
 */
export async function sendAndWait(
  context: CommandContext,
  signals: readonly Signal[],
  { isPatient }: { readonly isPatient: boolean },
): Promise<boolean> {
  const { config, logger, signal } = context;
  const offset = await send(context, signals);
  const reader = await openPipelineReader(config, logger);
  const waitsOn = (missing: string): boolean => {
    const end = isPatient ? ", and this command, too" : "";
    process.stderr.write(`No ${missing} seems to run; what was asked for waits for one in Kafka${end}.\n`);
    return isPatient;
  };
  try {
    while (!(await isCarriedOut(reader, { offset, signals, signal }))) if (!waitsOn("producer")) return false;
    const ends = await reader.ends();
    while (!(await isInTables(reader, ends, signal))) if (!waitsOn("consumer")) return false;
    return true;
  } finally {
    await reader.close();
  }
}

interface SentSignals {
  readonly signals: readonly Signal[];
  /** The last one's. */
  readonly offset: bigint;
  readonly signal: AbortSignal;
}

/**
 * Waits until the producer has carried out what the signals ask for.
 * @returns false where its position has not moved for a while
 */
export function isCarriedOut(reader: PipelineReader, { signals, offset, signal }: SentSignals): Promise<boolean> {
  return isReached(async () => {
    const position = await reader.settledPosition();
    return position === null
      ? { isDone: false, state: "" }
      : { isDone: isDone(position, signals, offset), state: textOf(position) };
  }, signal);
}

function isInTables(reader: PipelineReader, ends: readonly PartitionOffset[], signal: AbortSignal): Promise<boolean> {
  return isReached(async () => {
    const progress = await reader.progress();
    return { isDone: isApplied(ends, progress), state: ends.map((end) => lagOf(end, progress)).join() };
  }, signal);
}

/** @returns false where the state has not changed for a while */
async function isReached(
  look: () => Promise<{ readonly isDone: boolean; readonly state: string }>,
  signal: AbortSignal,
): Promise<boolean> {
  let known = "";
  let movedAt = performance.now();
  for (;;) {
    const { isDone: hasCome, state } = await look();
    if (hasCome) return true;
    if (state !== known) movedAt = performance.now();
    else if (performance.now() - movedAt > SILENCE_MS) return false;
    known = state;
    await pause(POLL_MS, signal);
  }
}

function isDone(
  { signals: { offset: next }, snapshots }: Position,
  signals: readonly Signal[],
  offset: bigint,
): boolean {
  return next > offset && signals.every(({ collection }) => snapshots[collection]?.state !== "running");
}

/** Its snapshots and signals move where its time cannot: while an old backlog is read. */
function textOf({ clusterTime, resumeToken, snapshots, signals }: Position): string {
  return JSON.stringify([clusterTime, resumeToken, snapshots, signals], (_key, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}
