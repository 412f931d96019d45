import { setTimeout as sleep } from "node:timers/promises";
import { errorKind } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import { completeTo } from "../../schemas/change-event.ts";
import type { Position, Version } from "../../schemas/change-event.ts";
import type { LoggedSignal, OpenSignals, SourceBatch } from "../ports.ts";
import type { Chunk, ChunkReader } from "./chunk-reader.ts";
import type { ReadAhead } from "./read-ahead.ts";
import { SnapshotPace } from "./snapshot-pace.ts";
import {
  ask,
  isPressing,
  isReady,
  isSnapshotting,
  nextRequest,
  passSignal,
  passStep,
  receive,
  startTimeline,
  takeChunk,
  takeSignal,
} from "./timeline.ts";
import type { Published, StreamStep, Timeline, TimelineOptions } from "./timeline.ts";

export interface SequenceInputs {
  readonly stream: ReadAhead<StreamStep>;
  readonly chunks: ChunkReader;
  readonly signals: OpenSignals;
}

export interface SequenceOptions extends TimelineOptions {
  /**
   * The sequence ends when the stream has passed this time and all snapshots and the signals that were there at the start
   * are done. Null: it has no end.
   */
  readonly until: Version | null;
  /** Shortest time between the beginnings of two transactions of a few changes, ms. */
  readonly intervalMs: number;
  /** Whether a signal for this collection can be carried out. */
  readonly isReplicated: (collection: string) => Promise<boolean>;
  readonly logger: Logger;
}

/** How often the position of an idle stream is stored, and how long its reads wait for events. */
const IDLE_MS = 1_000;
/** How long reads of the stream wait for events while something waits for the stream to reach a time. */
export const SHORT_WAIT_MS = 20;
/**
 * After a step with fewer events, the next read begins only when the step's transaction begins to commit. Changes that
 * come until then share the next transaction. A read that began earlier would return with the first of them, and the
 * others would wait for one transaction more. docs/performance.md has the figures.
 */
const FEW_EVENTS = 100;
const FEW_BYTES = 256 * 1024;
const NEVER: Version = 2n ** 64n;

/** The stream, the chunks and the signals as one sequence. The stream's steps go before chunks. */
export async function* oneSequence(
  start: Position,
  inputs: SequenceInputs,
  options: SequenceOptions,
): AsyncGenerator<SourceBatch, void, void> {
  const until = options.until ?? NEVER;
  let timeline = startTimeline(start);
  let streamIsDone = !options.hasStream || start.clusterTime > until;
  let yieldedAt = performance.now();
  const pace = new SnapshotPace();
  while (!streamIsDone || isSnapshotting(timeline) || timeline.position.signals.offset < inputs.signals.end) {
    const request = nextRequest(timeline, options);
    if (request !== null) {
      timeline = ask(timeline, request);
      inputs.chunks.ask(request);
    }
    const arrival = await firstArrival(inputs, timeline, options, pace.restsUntil);
    const beganAt = performance.now();
    const hasFew = arrival.kind === "step" && isFew(arrival.step);
    const readOn = once(() => {
      if (hasFew) inputs.stream.take(maxWaitMs(timeline, options), delayMs(beganAt, timeline, options));
    });
    if (arrival.kind === "step" && !hasFew) inputs.stream.take(maxWaitMs(timeline, options));
    if (arrival.kind === "chunks") {
      timeline = receive(timeline, arrival.chunks);
      continue;
    }
    const next = await publishNext(timeline, arrival, options, pace.parts);
    logSignal(timeline, next.timeline, options.logger);
    timeline = next.timeline;
    const isIdle = arrival.kind === "step" && next.batch.events.length === 0;
    const isLastStep = arrival.kind === "step" && !streamIsDone && completeTo(next.batch.position) >= until;
    streamIsDone ||= isLastStep;
    // The last step is published even without events: its position tells up to which time everything is.
    if (isIdle && !isLastStep && performance.now() - yieldedAt < IDLE_MS) {
      readOn();
      continue;
    }
    const yieldsAt = performance.now();
    yield { ...next.batch, onCommitting: readOn };
    readOn();
    yieldedAt = performance.now();
    if (arrival.kind === "ready") pace.partsPublished(yieldedAt - yieldsAt);
    else if (arrival.kind === "step" && !isIdle) pace.changePublished(yieldedAt - yieldsAt);
  }
}

/** 0 where the end or a chunk waits for the stream, or where the transaction has taken longer than the interval. */
function delayMs(beganAt: number, timeline: Timeline, { until, intervalMs }: SequenceOptions): number {
  if (until !== null || isSnapshotting(timeline)) return 0;
  return Math.max(0, beganAt + intervalMs - performance.now());
}

function isFew({ events }: StreamStep): boolean {
  if (events.length === 0 || events.length >= FEW_EVENTS) return false;
  return events.reduce((bytes, event) => bytes + (event.op === "t" ? 0 : (event.document?.length ?? 0)), 0) < FEW_BYTES;
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}

/** How long the next read of the stream waits for events: not long while the end or a chunk waits for the stream. */
function maxWaitMs(timeline: Timeline, { until }: SequenceOptions): number {
  return until !== null || isSnapshotting(timeline) ? SHORT_WAIT_MS : IDLE_MS;
}

type Arrival =
  | { readonly kind: "step"; readonly step: StreamStep }
  | { readonly kind: "chunks"; readonly chunks: readonly Chunk[] }
  | { readonly kind: "signal"; readonly signal: LoggedSignal }
  /** The current signal cannot be carried out. */
  | { readonly kind: "failed"; readonly error: unknown; readonly offset: bigint }
  /** A held chunk can be published. */
  | { readonly kind: "ready" };

const READY: Arrival = { kind: "ready" };

/**
 * Waits for the first of the inputs. If several are there, the order is: signal, step, chunks, held chunk.
 * @param restsUntil no held chunk is published before this time of `performance.now()`
 */
async function firstArrival(
  inputs: SequenceInputs,
  timeline: Timeline,
  options: TimelineOptions,
  restsUntil: number,
): Promise<Arrival> {
  if (isPressing(timeline, options)) return READY;
  const { stream, chunks, signals } = inputs;
  const { asked, selection } = timeline;
  const arrivals: Promise<Arrival | null>[] = [];
  if (selection === null) {
    const signal = signals.take();
    if (signal !== null) return { kind: "signal", signal };
    arrivals.push(signals.arrival().then(() => null));
  }
  if (options.hasStream) arrivals.push(stream.peek().then((step) => ({ kind: "step", step })));
  if (asked !== null) {
    arrivals.push(
      chunks.reply().then(
        (read) => ({ kind: "chunks", chunks: read }),
        (error: unknown) => failedRead(error, timeline),
      ),
    );
  }
  if (isReady(timeline, options)) arrivals.push(restUntil(restsUntil).then(() => READY));
  return (await Promise.race(arrivals)) ?? firstArrival(inputs, timeline, options, restsUntil);
}

async function restUntil(time: number): Promise<void> {
  const restMs = time - performance.now();
  if (restMs > 0) await sleep(restMs);
}

/** A signal is skipped if MongoDB cannot read by its filter. Any other failed read ends the sequence. */
function failedRead(error: unknown, { asked }: Timeline): Arrival {
  const offset = asked?.selection?.offset;
  if (offset === undefined || errorKind(error) !== "poison") throw error;
  return { kind: "failed", error, offset };
}

async function publishNext(
  timeline: Timeline,
  arrival: Exclude<Arrival, { kind: "chunks" }>,
  options: SequenceOptions,
  mostParts: number,
): Promise<Published> {
  if (arrival.kind === "step") return passStep(timeline, arrival.step, options);
  if (arrival.kind === "signal") return beginSignal(timeline, arrival.signal, options);
  if (arrival.kind === "ready") return takeChunk(timeline, options, mostParts);
  const { offset, error } = arrival;
  options.logger.error({ err: error, offset: String(offset) }, "signal failed and is skipped");
  return passSignal(timeline, offset);
}

async function beginSignal(
  timeline: Timeline,
  logged: LoggedSignal,
  { isReplicated, logger }: SequenceOptions,
): Promise<Published> {
  const { signal, offset } = logged;
  if (signal === null) return takeSignal(timeline, logged);
  const { type, collection } = signal;
  const fields = { signal: type, collection, offset: String(offset) };
  if (!timeline.position.snapshots.has(collection) && !(await isReplicated(collection))) {
    logger.error(fields, "signal skipped: its collection is not replicated");
    return passSignal(timeline, offset);
  }
  logger.info(fields, "signal started");
  return takeSignal(timeline, logged);
}

function logSignal({ selection }: Timeline, after: Timeline, logger: Logger): void {
  if (selection === null || after.selection !== null) return;
  logger.info({ collection: selection.signal.collection, offset: String(selection.offset) }, "signal done");
}
