import { isApplied, lagOf } from "../consumers/batches/progress.ts";
import { fetchTopicIds } from "../kafka/topic-ids.ts";
import { KafkaTopics } from "../producers/kafka/topics.ts";
import { pause } from "../runtime/waiting.ts";
import type { Position } from "../schemas/change-event.ts";
import { isOther } from "../schemas/identity.ts";
import type { PartitionOffset } from "../schemas/partitions.ts";
import type { Signal } from "../schemas/signal.ts";
import { signalsTopic } from "../schemas/topics.ts";
import { kafkaClient } from "./connections.ts";
import type { Context } from "./context.ts";
import { openPipelineReader, RefusalWatch, requireStarts } from "./pipeline-reader.ts";
import type { PipelineReader } from "./pipeline-reader.ts";
import { sendSignals } from "./send-signals.ts";

const POLL_MS = 200;
/** A running producer commits a position every second, even if nothing changes. MongoDB's clock ticks every 10 s. */
const SILENCE_MS = 30_000;

/** Signals that are in Kafka. */
interface SentSignals {
  readonly signals: readonly Signal[];
  /** Of the last signal. */
  readonly offset: bigint;
  /** Of the topic that has them, as in `Position`. */
  readonly signalsTopicId: string | null;
}

/**
 * Writes the signals to Kafka. A running producer carries them out; otherwise they stay queued.
 * @throws HeadraceError, SIGNAL_INVALID among them; the error with which the producer would refuse to start: then nothing is
 * written
 */
export function send(context: Context, signals: readonly Signal[]): Promise<SentSignals> {
  return withReader(context, (reader) => sendBy(reader, context, signals));
}

/**
 * The same, and waits until the producer has carried them out.
 * @returns false if its position has not moved for 30 s
 */
export function sendAndCarryOut(context: Context, signals: readonly Signal[]): Promise<boolean> {
  return withReader(context, async (reader) => {
    const sent = await sendBy(reader, context, signals);
    return await isCarriedOut(reader, sent, context.signal);
  });
}

async function withReader<T>({ config, logger }: Context, use: (reader: PipelineReader) => Promise<T>): Promise<T> {
  const reader = await openPipelineReader(config, logger);
  try {
    return await use(reader);
  } finally {
    await reader.close();
  }
}

async function sendBy(
  reader: PipelineReader,
  { config, logger }: Context,
  signals: readonly Signal[],
): Promise<SentSignals> {
  const verdict = await reader.producer(signals.map(({ collection }) => collection));
  if (verdict.kind === "refuse") throw verdict.error;
  const { name, mongodb, kafka: settings, deadLetters } = config;
  const kafka = await kafkaClient(config, logger);
  const deadLetterRetentionMs = deadLetters.retentionMs;
  const options = { kafka, name, database: mongodb.database, ...settings, deadLetterRetentionMs, logger };
  await new KafkaTopics(options).createInternal();
  const offset = await sendSignals(kafka, name, signals);
  const topic = signalsTopic(name);
  return { signals, offset, signalsTopicId: (await fetchTopicIds(kafka, [topic])).get(topic) ?? null };
}

/** The process of the pipeline that a request waits for. */
export type AwaitedProcess = "producer" | "consumer";

/**
 * Sends the signals and waits until the tables have the result. Sends nothing where the producer or the consumer would refuse
 * to start.
 * @param onSilence called when a process has made no progress for 30 s and is probably not running; true: keep waiting
 * @returns false if it stopped waiting; the request then stays queued in Kafka until the pipeline runs
 * @throws HeadraceError, that of such a refusal among them; the reason of `context.signal` when it aborts
 */
export async function sendAndWait(
  context: Context,
  signals: readonly Signal[],
  onSilence: (missing: AwaitedProcess) => boolean,
): Promise<boolean> {
  const { signal } = context;
  return await withReader(context, async (reader) => {
    await requireStarts(reader);
    const sent = await sendBy(reader, context, signals);
    while (!(await isCarriedOut(reader, sent, signal))) if (!onSilence("producer")) return false;
    const ends = await reader.ends();
    while (!(await isInTables(reader, ends, signal))) if (!onSilence("consumer")) return false;
    return true;
  });
}

/**
 * Waits until the producer has carried out the signals.
 * @returns false if its position has not moved for 30 s
 */
function isCarriedOut(reader: PipelineReader, sent: SentSignals, signal: AbortSignal): Promise<boolean> {
  return isReached(reader, signal, async () => {
    const position = await reader.settledPosition();
    return position === null
      ? { isDone: false, state: "" }
      : { isDone: isDone(position, sent), state: textOf(position) };
  });
}

function isInTables(reader: PipelineReader, ends: readonly PartitionOffset[], signal: AbortSignal): Promise<boolean> {
  return isReached(reader, signal, async () => {
    const progress = await reader.progress();
    return { isDone: isApplied(ends, progress), state: ends.map((end) => lagOf(end, progress)).join() };
  });
}

/**
 * Polls until the work is done.
 * @returns false if the state has not changed for 30 s
 * @throws HeadraceError if the producer or the consumer would refuse to start: then nobody does the work
 */
async function isReached(
  reader: PipelineReader,
  signal: AbortSignal,
  poll: () => Promise<{ readonly isDone: boolean; readonly state: string }>,
): Promise<boolean> {
  const refusals = new RefusalWatch(reader);
  let known = "";
  let movedAt = performance.now();
  for (;;) {
    const polled = await poll();
    if (polled.isDone) return true;
    const { state } = polled;
    if (state !== known) movedAt = performance.now();
    else if (performance.now() - movedAt > SILENCE_MS) return false;
    known = state;
    await refusals.look();
    await pause(POLL_MS, signal);
  }
}

function isDone(position: Position, { signals, offset, signalsTopicId }: SentSignals): boolean {
  const {
    signals: { offset: next },
    snapshots,
  } = position;
  // After the topic was created again, the position has offsets of the one before until the producer has noticed it.
  const isSameTopic = !isOther(position.signalsTopicId, signalsTopicId);
  return (
    isSameTopic && next > offset && signals.every(({ collection }) => snapshots.get(collection)?.state !== "running")
  );
}

/** The whole position as text: while the producer reads an old backlog, its cluster time may not change. */
function textOf({ clusterTime, resumeToken, snapshots, signals }: Position): string {
  return JSON.stringify([clusterTime, resumeToken, [...snapshots], signals], (_key, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
}
