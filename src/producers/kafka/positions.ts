import type { Kafka, KafkaMessage } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { kafkaError } from "../../kafka/errors.ts";
import type { Position } from "../../schemas/change-event.ts";
import { POSITION_KEY } from "../../schemas/position.ts";
import { decodePosition } from "../../schemas/position.ts";

/** A process that produces, as it signs its sessions in the positions topic. */
export interface Instance {
  readonly id: string;
  /** ms since 1970. */
  readonly startedAtMs: number;
}

export interface PositionsFound {
  /** The last one before the marker; null when there is none. */
  readonly position: Position | null;
  /** Who has opened a session since a given offset. */
  readonly instances: readonly Instance[];
}

export interface ReadPositionsOptions {
  readonly topic: string;
  /** A consumer group of its own, so that kafkajs gives it the partition; it stores no offsets. */
  readonly groupId: string;
  /** The offset of the marker to read to. */
  readonly marker: bigint;
  /** Markers after this offset are wanted too; null: none are. */
  readonly since: bigint | null;
  readonly signal: AbortSignal;
}

/** Longer than a hanging transaction keeps the topic's end from readers. */
const READ_TIMEOUT_MS = 90_000;
/** How many offsets before the marker are looked at first; a transaction takes two. */
const FIRST_WINDOW = 100n;

/** Reads the topic's end, read_committed. @throws HeadraceError */
export async function readPositions(kafka: Kafka, options: ReadPositionsOptions): Promise<PositionsFound> {
  const { topic, marker, since } = options;
  const low = await lowOffset(kafka, topic);
  for (let window = FIRST_WINDOW; ; window *= 2n) {
    const wanted = marker - window;
    const reaching = since !== null && since < wanted ? since + 1n : wanted;
    const from = reaching > low ? reaching : low;
    const found = await readRange(kafka, from, options);
    if (found.position !== null || from <= low) return found;
  }
}

async function readRange(
  kafka: Kafka,
  from: bigint,
  { topic, groupId, marker, since, signal }: ReadPositionsOptions,
): Promise<PositionsFound> {
  let position: Buffer | null = null;
  const instances: Instance[] = [];
  await readRecords(kafka, { topic, groupId, from, to: marker, signal }, ({ key, value, offset }) => {
    if (value === null) return;
    if (key?.toString() === POSITION_KEY) position = value;
    else if (since !== null && BigInt(offset) > since) instances.push(JSON.parse(value.toString()) as Instance);
  });
  return { position: position === null ? null : decodePosition(String(position)), instances };
}

interface RecordRange {
  readonly topic: string;
  readonly groupId: string;
  readonly from: bigint;
  /** There must be a record at this offset. */
  readonly to: bigint;
  readonly signal: AbortSignal;
}

async function readRecords(
  kafka: Kafka,
  { topic, groupId, from, to, signal }: RecordRange,
  eachRecord: (message: KafkaMessage) => void,
): Promise<void> {
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: 10_000,
    maxWaitTimeInMs: 100,
    allowAutoTopicCreation: false,
    retry: { initialRetryTime: 100, retries: 5, restartOnFailure: () => Promise.resolve(false) },
  });
  const reachedEnd = Promise.withResolvers<void>();
  // It may fail before anyone awaits it.
  reachedEnd.promise.catch(() => {});
  const stop = () => reachedEnd.reject(signal.reason);
  const timer = setTimeout(() => reachedEnd.reject(notReadable(topic)), READ_TIMEOUT_MS);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  consumer.on(consumer.events.CRASH, ({ payload }) => reachedEnd.reject(payload.error));
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const running = consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        for (const message of batch.messages) {
          const offset = BigInt(message.offset);
          if (offset >= from && offset <= to) eachRecord(message);
          if (offset >= to) reachedEnd.resolve();
        }
      },
    });
    consumer.seek({ topic, partition: 0, offset: String(from) });
    await Promise.all([running, reachedEnd.promise]);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof HeadraceError ? error : kafkaError(error, "reading the last position");
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    await consumer.disconnect();
  }
}

function notReadable(topic: string): HeadraceError {
  return new HeadraceError("KAFKA_UNAVAILABLE", {
    message: `The end of the topic ${topic} could not be read for ${READ_TIMEOUT_MS / 1_000} s.`,
    remedy: "Look for a transaction that hangs on it; Headrace goes on by itself once it has ended.",
  });
}

async function lowOffset(kafka: Kafka, topic: string): Promise<bigint> {
  const admin = kafka.admin({ retry: { initialRetryTime: 200, retries: 4 } });
  try {
    await admin.connect();
    const [partition] = await admin.fetchTopicOffsets(topic);
    return BigInt(partition?.low ?? 0);
  } catch (error) {
    throw kafkaError(error, "reading the last position");
  } finally {
    await admin.disconnect();
  }
}
