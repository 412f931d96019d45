import type { Db } from "mongodb";
import { HeadraceError } from "../runtime/errors.ts";
import type { ChangeEvent, Version } from "../schemas/change-event.ts";
import { clusterTimes } from "./mongo-client.ts";
import { changeStream } from "./mongo-change-stream.ts";
import type { ChangeStreamOptions, StreamBatch } from "./mongo-change-stream.ts";
import { isSnapshotGone } from "./mongo-errors.ts";
import { CollectionGone, readImages } from "./mongo-post-images.ts";
import type { ImageReaderOptions } from "./mongo-post-images.ts";
import { planBatch } from "./post-images.ts";
import type { BatchPlan, DocumentStreamEvent, StreamEvent } from "./post-images.ts";
import type { StreamPosition, StreamStep } from "./timeline.ts";

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
  options: Omit<ChangeStreamOptions, "start"> & ImageReaderOptions,
): AsyncGenerator<StreamStep, void, void> {
  let before: StreamPosition | null = start;
  for await (const batch of changeStream(db, { ...options, start })) {
    const { resumeToken, clusterTime } = batch;
    const horizon: Version = before?.horizon ?? 0n;
    const events = batch.events.map(documentEvent);
    if (before === null || events.length === 0) {
      before = { resumeToken, clusterTime, horizon };
      yield { events: [], position: before };
      continue;
    }
    for await (const step of exactSteps(db, before, { ...batch, events }, options)) {
      yield step;
      before = step.position;
    }
  }
}

interface DocumentBatch extends StreamBatch {
  readonly events: readonly DocumentStreamEvent[];
}

async function* exactSteps(
  db: Db,
  before: StreamPosition,
  batch: DocumentBatch,
  options: ImageReaderOptions,
): AsyncGenerator<StreamStep, void, void> {
  const gone = new Set<string>();
  let { horizon } = before;
  let at = batch.clusterTime;
  let resolves = at < horizon;
  for (;;) {
    if (resolves) at = latest(at, horizon, (await clusterTimes(db)).majority);
    const plan = planBatch(batch.events, options.keyOf, resolves ? batch.clusterTime : horizon);
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
  readonly batch: DocumentBatch;
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
  let events: ChangeEvent[] = [...plan.events];
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
  const { resumeToken, clusterTime } = batch;
  const horizon = at > clusterTime ? latest(at, before.horizon) : before.horizon;
  yield { events, position: { resumeToken, clusterTime, horizon } };
}

function latest(...versions: readonly Version[]): Version {
  return versions.reduce((a, b) => (a > b ? a : b));
}

/**
 * @throws HeadraceError for an event after which a collection is not what it was: going on would leave rows
 * behind that no event ever deletes.
 */
function documentEvent(event: StreamEvent): DocumentStreamEvent {
  const { operationType, documentKey } = event;
  switch (operationType) {
    case "insert":
    case "update":
    case "replace":
    case "delete":
      if (documentKey === null) throw unknownEvent(`${operationType} without documentKey`);
      return { ...event, operationType, documentKey };
    case "drop":
      throw collectionLost("COLLECTION_DROPPED", `The collection ${quoted(event.collection)} was dropped.`);
    case "dropDatabase":
    case "invalidate":
      throw collectionLost("COLLECTION_DROPPED", "The database was dropped, with every collection in it.");
    case "rename": {
      const names = `The collection ${quoted(event.collection)} was renamed to ${quoted(event.renamedTo ?? "")}`;
      throw collectionLost("COLLECTION_RENAMED", `${names} ($out does this too).`);
    }
    default:
      throw unknownEvent(operationType);
  }
}

function unknownEvent(what: string): HeadraceError {
  return new HeadraceError("EVENT_UNKNOWN", "fatal", {
    message: `MongoDB's change stream has an event of a kind that Headrace does not know: ${what}.`,
    remedy: "Report it with MongoDB's version.",
  });
}

function collectionLost(code: "COLLECTION_DROPPED" | "COLLECTION_RENAMED", message: string): HeadraceError {
  return new HeadraceError(code, "fatal", {
    message,
    remedy:
      "Headrace does not carry this over to the tables: leave the collection out of `collections` (list the others there) and see to its table yourself; or, to copy everything anew, delete the pipeline's positions topic and empty the tables.",
  });
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
