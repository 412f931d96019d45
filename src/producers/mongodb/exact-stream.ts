import type { Db } from "mongodb";
import { latest } from "../../schemas/change-event.ts";
import type { ChangeEvent, Version } from "../../schemas/change-event.ts";
import { planImages } from "../order/plan-images.ts";
import type { BatchPlan } from "../order/plan-images.ts";
import type { Endless } from "../order/read-ahead.ts";
import type { StreamPosition, StreamStep } from "../order/timeline.ts";
import { splitTruncates } from "../order/truncates.ts";
import type { SplitEvents } from "../order/truncates.ts";
import { ChangeStream } from "./change-stream.ts";
import type { ChangeStreamOptions, StreamBatch } from "./change-stream.ts";
import { clusterTimes } from "./client.ts";
import type { CollectionWatch } from "./collections.ts";
import { isSnapshotGone } from "./errors.ts";
import { meaningOf } from "./event-meaning.ts";
import type { OnDrop } from "./event-meaning.ts";
import { CollectionGone, readImages } from "./image-reader.ts";
import type { ImageReaderOptions } from "./image-reader.ts";

export interface ExactStreamOptions extends ChangeStreamOptions, ImageReaderOptions {
  readonly onDrop: OnDrop;
  readonly watch: CollectionWatch;
}

/** A step with this many bytes is published before more documents are read. */
const STEP_BYTES = 8 * 1024 * 1024;

/**
 * The change stream, with every document exactly as it was at its event's version. The changed documents of a batch are
 * read as of the batch's end. If that time cannot be read any more (an old backlog), the batch is *resolved*: all its
 * documents are read as they are now. They are then newer than the events that follow, so the position gets a horizon:
 * up to it later batches are resolved, too, also after a restart.
 *
 * A batch with large documents gives several steps. The position of all but the last is before the batch, with a horizon
 * from which a restart knows what has been published.
 */
export class ExactStream implements Endless<StreamStep> {
  readonly #db: Db;
  readonly #options: ExactStreamOptions;
  readonly #stream: ChangeStream;
  #before: StreamPosition | null;
  /** As in `StreamBatch`, of the last batch. */
  #committedMs: number | null = null;
  /** The steps of the last batch that are left. */
  #steps: AsyncGenerator<StreamStep, void, void> | null = null;

  /** @param start null: from now on */
  constructor(db: Db, start: StreamPosition | null, options: ExactStreamOptions) {
    this.#db = db;
    this.#options = options;
    this.#stream = new ChangeStream(db, start, options);
    this.#before = start;
  }

  /**
   * Reads the next step. The first one has no events, only the position where the stream begins.
   * @param maxAwaitTimeMs how long the server waits for events before a step without any
   * @throws HeadraceError as `ChangeStream.next` and `meaningOf`
   */
  async next(maxAwaitTimeMs: number): Promise<StreamStep> {
    const beganAt = performance.now();
    let answeredAt = beganAt;
    for (;;) {
      if (this.#steps === null) {
        const batch = await this.#stream.next(maxAwaitTimeMs);
        answeredAt = performance.now();
        this.#committedMs = batch.committedMs;
        this.#steps = this.#stepsOf(batch);
      }
      const { done, value: step } = await this.#steps.next();
      if (done !== true) {
        this.#before = step.position;
        return { ...step, read: this.#readTimes(beganAt, answeredAt) };
      }
      this.#steps = null;
    }
  }

  async close(): Promise<void> {
    await this.#steps?.return();
    await this.#stream.close();
  }

  #readTimes(beganAt: number, answeredAt: number): StreamStep["read"] {
    if (this.#committedMs === null) return undefined;
    return { committedMs: this.#committedMs, beganAt, answeredAt, endedAt: performance.now() };
  }

  async *#stepsOf(batch: StreamBatch): AsyncGenerator<StreamStep, void, void> {
    const before = this.#before;
    const { events, leftOut } = await this.#options.watch.sift(batch.events);
    const split = splitTruncates(events, (event) => meaningOf(event, this.#options));
    if (before !== null && events.length > 0) {
      for await (const step of exactSteps(this.#db, before, { ...batch, ...split }, this.#options)) {
        yield { ...step, leftOut };
      }
      return;
    }
    yield { events: [], position: positionAfter(batch, before, before?.horizon ?? 0n), leftOut };
  }
}

type BatchEnd = Omit<StreamBatch, "events" | "committedMs">;

function positionAfter(
  { resumeToken, clusterTime, isWhole, lastEvent }: BatchEnd,
  before: StreamPosition | null,
  horizon: Version,
): StreamPosition {
  return { resumeToken, clusterTime, isWhole, lastEvent: lastEvent ?? before?.lastEvent, horizon };
}

type SplitBatch = BatchEnd & SplitEvents;

async function* exactSteps(
  db: Db,
  before: StreamPosition,
  batch: SplitBatch,
  options: ImageReaderOptions,
): AsyncGenerator<StreamStep, void, void> {
  const gone = new Set<string>();
  const isFiltered = (collection: string): boolean => options.filterOf(collection) !== null;
  let { horizon } = before;
  let at = batch.clusterTime;
  let resolves = at < horizon;
  for (;;) {
    if (resolves) at = latest(at, horizon, (await clusterTimes(db)).majority);
    const plan = planImages(batch.events, options.keyOf, resolves ? batch.clusterTime : horizon, isFiltered);
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
  /** The time at which the plan's documents are read. */
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
  const horizon = at > batch.clusterTime ? latest(at, before.horizon) : before.horizon;
  yield { events, position: positionAfter(batch, before, horizon) };
}
