import { isApplied, lagOf } from "../consumers/batches/progress.ts";
import { KafkaTopics } from "../producers/kafka/topics.ts";
import { pause } from "../runtime/waiting.ts";
import type { Position } from "../schemas/change-event.ts";
import type { PartitionOffset } from "../schemas/partitions.ts";
import type { Signal } from "../schemas/signal.ts";
import { kafkaClient } from "./connections.ts";
import type { Context } from "./context.ts";
import { openPipelineReader } from "./pipeline-reader.ts";
import type { PipelineReader } from "./pipeline-reader.ts";
import { sendSignals } from "./send-signals.ts";

const POLL_MS = 200;
/** A running producer commits a position every second, even if nothing changes. MongoDB's clock ticks every 10 s. */
const SILENCE_MS = 30_000;

/**
 * Writes the signals to Kafka. A running producer carries them out; otherwise they stay queued.
 * @returns the offset of the last signal
 * @throws HeadraceError, SIGNAL_INVALID among them
 */
export async function send({ config, logger }: Context, signals: readonly Signal[]): Promise<bigint> {
  const { name, mongodb, kafka: settings } = config;
  const kafka = await kafkaClient(config, logger);
  await new KafkaTopics({ kafka, name, database: mongodb.database, ...settings }).prepareInternal();
  return sendSignals(kafka, name, signals);
}

/** The process of the pipeline that a request waits for. */
export type AwaitedProcess = "producer" | "consumer";

/**
 * Sends the signals and waits until the tables have the result.
 * @param onSilence called when a process has made no progress for 30 s and is probably not running; true: keep waiting
 * @returns false if it stopped waiting; the request then stays queued in Kafka until the pipeline runs
 * @throws HeadraceError; the reason of `context.signal` when it aborts
 */
export async function sendAndWait(
  context: Context,
  signals: readonly Signal[],
  onSilence: (missing: AwaitedProcess) => boolean,
): Promise<boolean> {
  const { config, logger, signal } = context;
  const offset = await send(context, signals);
  const reader = await openPipelineReader(config, logger);
  try {
    while (!(await isCarriedOut(reader, { offset, signals, signal }))) if (!onSilence("producer")) return false;
    const ends = await reader.ends();
    while (!(await isInTables(reader, ends, signal))) if (!onSilence("consumer")) return false;
    return true;
  } finally {
    await reader.close();
  }
}

interface SentSignals {
  readonly signals: readonly Signal[];
  /** Of the last signal. */
  readonly offset: bigint;
  readonly signal: AbortSignal;
}

/**
 * Waits until the producer has carried out the signals.
 * @returns false if its position has not moved for 30 s
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

/** Polls until the work is done. @returns false if the state has not changed for 30 s */
async function isReached(
  poll: () => Promise<{ readonly isDone: boolean; readonly state: string }>,
  signal: AbortSignal,
): Promise<boolean> {
  let known = "";
  let movedAt = performance.now();
  for (;;) {
    const polled = await poll();
    if (polled.isDone) return true;
    const { state } = polled;
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

/** The whole position as text: while the producer reads an old backlog, its cluster time may not change. */
function textOf({ clusterTime, resumeToken, snapshots, signals }: Position): string {
  return JSON.stringify([clusterTime, resumeToken, snapshots, signals], (_key, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}
