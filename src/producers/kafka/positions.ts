import type { Kafka } from "kafkajs";
import { HeadraceError } from "../../errors/error.ts";
import { followPartition } from "../../kafka/topic-reader.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Position } from "../../schemas/change-event.ts";
import { decodeMarker, decodePosition, POSITION_KEY } from "../../schemas/position.ts";
import type { Instance } from "../../schemas/position.ts";

export interface PositionsFound {
  /** The last one before the marker; null when there is none. */
  readonly position: Position | null;
  /** The processes that opened sessions after `since`. */
  readonly instances: readonly Instance[];
}

export interface ReadPositionsOptions {
  readonly topic: string;
  /** The offset of the session's own marker, where reading ends. */
  readonly marker: bigint;
  /** Markers after this offset count for `instances`; null: none do. */
  readonly since: bigint | null;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** Longer than a hanging transaction can hide the topic's end from readers: the broker aborts it after 60 s. */
const READ_TIMEOUT_MS = 90_000;
/** Longer than this is worth a warning. */
const SLOW_MS = 5_000;
/** How many offsets before the marker are read first; a transaction has two to four. */
const FIRST_WINDOW = 100n;

/** Reads the end of the positions topic up to the marker. @throws HeadraceError; the signal's reason */
export async function readPositions(kafka: Kafka, options: ReadPositionsOptions): Promise<PositionsFound> {
  const { marker, since } = options;
  for (let window = FIRST_WINDOW; ; window *= 2n) {
    const wanted = marker - window;
    const from = since !== null && since < wanted ? since + 1n : wanted;
    const { found, logStart } = await readRange(kafka, from > 0n ? from : 0n, options);
    if (found.position !== null || from <= logStart) return found;
  }
}

async function readRange(
  kafka: Kafka,
  from: bigint,
  { topic, marker, since, signal, logger }: ReadPositionsOptions,
): Promise<{ found: PositionsFound; logStart: bigint }> {
  const startedAt = performance.now();
  let isSlow = false;
  let position: Buffer | null = null;
  const instances: Instance[] = [];
  let logStart = 0n;
  const doing = "reading the last position";
  for await (const part of followPartition(kafka, { topic, partition: 0, from, signal, doing })) {
    for (const { key, value, offset } of part.records) {
      if (value === null || offset > marker) continue;
      if (key?.toString() === POSITION_KEY) position = value;
      else if (since !== null && offset > since) instances.push(...decodeMarker(String(value)));
    }
    logStart = part.logStart;
    if (part.nextOffset > marker) break;
    const tookMs = performance.now() - startedAt;
    if (tookMs > READ_TIMEOUT_MS) throw notReadable(topic);
    if (tookMs > SLOW_MS && !isSlow)
      logger.warn({ topic }, "waiting for the end of a hanging transaction on the topic");
    isSlow = tookMs > SLOW_MS;
  }
  return { found: { position: position === null ? null : decodePosition(String(position)), instances }, logStart };
}

function notReadable(topic: string): HeadraceError {
  return new HeadraceError("KAFKA_UNAVAILABLE", {
    message: `Headrace could not read the end of the topic ${topic} for ${READ_TIMEOUT_MS / 1_000} s.`,
    remedy: "Look for a hanging transaction on this topic; Headrace resumes once it has ended.",
  });
}
