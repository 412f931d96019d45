import type { Db } from "mongodb";
import { latest } from "../../schemas/change-event.ts";
import type { ChangeEvent, Version } from "../../schemas/change-event.ts";
import { planImages } from "../order/plan-images.ts";
import type { BatchPlan } from "../order/plan-images.ts";
import type { StreamPosition, StreamStep } from "../order/timeline.ts";
import { splitTruncates } from "../order/truncates.ts";
import type { SplitEvents } from "../order/truncates.ts";
import { changeStream } from "./change-stream.ts";
import type { ChangeStreamOptions, StreamBatch } from "./change-stream.ts";
import { clusterTimes } from "./client.ts";
import { isSnapshotGone } from "./errors.ts";
import { meaningOf } from "./event-meaning.ts";
import type { OnDrop } from "./event-meaning.ts";
import { CollectionGone, readImages } from "./image-reader.ts";
import type { ImageReaderOptions } from "./image-reader.ts";

export interface ExactStreamOptions extends Omit<ChangeStreamOptions, "start">, ImageReaderOptions {
  readonly onDrop: OnDrop;
}

/** A step that has reached this is published before more documents are read. */
const STEP_BYTES = 8 * 1024 * 1024;

/**
 * The change stream with every document exactly as it was at its event's version: the changed documents of
 * a batch are read at the batch's end. Where that time cannot be read any more (an old backlog), the batch is
 * *resolved*: all of its documents are read as they are now. What was read so is newer than the events that
 * follow; hence the horizon, up to which batches are resolved, also after a restart.
 *
 * A batch whose documents are large gives several steps. All but the last stand before the batch, with a
 * horizon that tells a restart what has been published.
 */
export async function* exactStream(
  db: Db,
  start: StreamPosition | null,
  options: ExactStreamOptions,
): AsyncGenerator<StreamStep, void, void> {
  let before: StreamPosition | null = start;
  for await (const batch of changeStream(db, { ...options, start })) {
    const { resumeToken, clusterTime, isWhole } = batch;
    const horizon: Version = before?.horizon ?? 0n;
    const split = splitTruncates(batch.events, (event) => meaningOf(event, options));
    if (before === null || batch.events.length === 0) {
      before = { resumeToken, clusterTime, isWhole, horizon };
      yield { events: [], position: before };
      continue;
    }
    for await (const step of exactSteps(db, before, { ...batch, ...split }, options)) {
      yield step;
      before = step.position;
    }
  }
}

type SplitBatch = Omit<StreamBatch, "events"> & SplitEvents;

async function* exactSteps(
  db: Db,
  before: StreamPosition,
  batch: SplitBatch,
  options: ImageReaderOptions,
): AsyncGenerator<StreamStep, void, void> {
  const gone = new Set<string>();
  let { horizon } = before;
  let at = batch.clusterTime;
  let resolves = at < horizon;
  for (;;) {
    if (resolves) at = latest(at, horizon, (await clusterTimes(db)).majority);
    const plan = planImages(batch.events, options.keyOf, resolves ? batch.clusterTime : horizon);
    try {
      for await (const step of steps(db, { before: { ...before, horizon }, batch, plan, at, gone }, options)) {
        horizon = step.position.horizon;
        yield step;
      }
      return;
    } catch (error) {
      if (error instanceof CollectionGone) {
        gone.add(error.collection);
        at = latest(at, error.at);
      } else if (resolves || !isSnapshotGone(error)) {
        throw error;
      }
      resolves = true;
    }
  }
}

interface StepsOptions {
  readonly before: StreamPosition;
  readonly batch: SplitBatch;
  readonly plan: BatchPlan;
  /** The time that the plan's documents are read at. */
  readonly at: Version;
  readonly gone: ReadonlySet<string>;
}

async function* steps(
  db: Db,
  { before, batch, plan, at, gone }: StepsOptions,
  options: ImageReaderOptions,
): AsyncGenerator<StreamStep, void, void> {
  let events: ChangeEvent[] = [...batch.truncates, ...plan.events];
  let bytes = 0;
  for await (const images of readImages(db, plan.reads, at, gone, options)) {
    if (bytes >= STEP_BYTES) {
      yield { events, position: { ...before, horizon: latest(at, before.horizon) } };
      events = [];
      bytes = 0;
    }
    for (const image of images) {
      events.push(image);
      bytes += image.op === "t" ? 0 : (image.document?.byteLength ?? 0);
    }
  }
  const { resumeToken, clusterTime, isWhole } = batch;
  const horizon = at > clusterTime ? latest(at, before.horizon) : before.horizon;
  yield { events, position: { resumeToken, clusterTime, isWhole, horizon } };
}
