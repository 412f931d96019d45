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
  /** Told whether the stream is waited for. */
  readonly hurry: (isSnapshotting: boolean) => void;
}

export interface SequenceOptions extends TimelineOptions {
  /** Ends when the stream has passed this, and all snapshots and the signals that stood there at the start are done. */
  readonly until: Version;
  /** Whether a signal can be about this collection. */
  readonly isReplicated: (collection: string) => Promise<boolean>;
  readonly logger: Logger;
}

/** How often the position of an idle stream is worth storing. */
export const IDLE_MS = 1_000;

/** Stream, chunks and signals as one sequence. The stream's steps go before chunks, which take what the stream leaves. */
export async function* oneSequence(
  start: Position,
  inputs: SequenceInputs,
  options: SequenceOptions,
): AsyncGenerator<SourceBatch, void, void> {
  const { until } = options;
  let timeline = startTimeline(start);
  let streamIsDone = !options.hasStream || start.clusterTime > until;
  let yieldedAt = performance.now();
  const pace = new SnapshotPace();
  while (!streamIsDone || isSnapshotting(timeline) || timeline.position.signals.offset < inputs.signals.end) {
    inputs.hurry(isSnapshotting(timeline));
    const request = nextRequest(timeline, options);
    if (request !== null) {
      timeline = ask(timeline, request);
      inputs.chunks.ask(request);
    }
    const arrival = await firstArrival(inputs, timeline, options, pace.restsUntil);
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
    // The last step is stored, as it says up to which time everything is.
    if (isIdle && !isLastStep && performance.now() - yieldedAt < IDLE_MS) continue;
    const yieldsAt = performance.now();
    yield next.batch;
    yieldedAt = performance.now();
    if (arrival.kind === "ready") pace.partsPublished(yieldedAt - yieldsAt);
    else if (arrival.kind === "step" && !isIdle) pace.changePublished(yieldedAt - yieldsAt);
  }
}

type Arrival =
  | { readonly kind: "step"; readonly step: StreamStep }
  | { readonly kind: "chunks"; readonly chunks: readonly Chunk[] }
  | { readonly kind: "signal"; readonly signal: LoggedSignal }
  /** The signal in work cannot be carried out. */
  | { readonly kind: "failed"; readonly error: unknown; readonly offset: bigint }
  | { readonly kind: "ready" };

/**
 * Of what is there already, the first in this order.
 * @param restsUntil chunks wait until then
 */
async function firstArrival(
  inputs: SequenceInputs,
  timeline: Timeline,
  options: TimelineOptions,
  restsUntil: number,
): Promise<Arrival> {
  const ready: Arrival = { kind: "ready" };
  if (isPressing(timeline, options)) return ready;
  const { stream, chunks, signals } = inputs;
  const { asked, selection } = timeline;
  const arrivals: Promise<Arrival | null>[] = [];
  if (selection === null) {
    const signal = signals.take();
    if (signal !== null) return { kind: "signal", signal };
    arrivals.push(signals.arrival().then(() => null));
  }
  if (options.hasStream) arrivals.push(stream.peek().then(stepArrival));
  if (asked !== null) {
    arrivals.push(
      chunks.reply().then(
        (read) => ({ kind: "chunks", chunks: read }),
        (error: unknown) => failedRead(error, timeline),
      ),
    );
  }
  if (isReady(timeline, options)) arrivals.push(restUntil(restsUntil).then(() => ready));
  const arrival = await Promise.race(arrivals);
  if (arrival === null) return firstArrival(inputs, timeline, options, restsUntil);
  if (arrival.kind === "step") stream.take();
  return arrival;
}

async function restUntil(time: number): Promise<void> {
  const restMs = time - performance.now();
  if (restMs > 0) await sleep(restMs);
}

function stepArrival({ done, value }: IteratorResult<StreamStep, void>): Arrival {
  if (done === true) throw new Error("the change stream ended by itself");
  return { kind: "step", step: value };
}

/** Only what a signal asks for can be at fault itself. */
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
  options.logger.error({ err: error, offset: String(offset) }, "a signal could not be carried out");
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
  const told = { signal: type, collection, offset: String(offset) };
  if (timeline.position.snapshots[collection] === undefined && !(await isReplicated(collection))) {
    logger.error(told, "a signal is skipped: its collection is not replicated");
    return passSignal(timeline, offset);
  }
  logger.info(told, "carrying out a signal");
  return takeSignal(timeline, logged);
}

function logSignal({ selection }: Timeline, after: Timeline, logger: Logger): void {
  if (selection === null || after.selection !== null) return;
  logger.info({ collection: selection.signal.collection, offset: String(selection.offset) }, "signal done");
}
