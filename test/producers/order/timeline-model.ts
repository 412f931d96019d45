// A producer on a model of two collections: its random steps, and the batches that it publishes.
import * as fc from "fast-check";
import { expect } from "vitest";
import { copyAnew } from "../../../src/producers/kafka/mismatches.ts";
import { NOT_BY_ID } from "../../../src/producers/order/chunk-reader.ts";
import type { Chunk, ChunkRequest } from "../../../src/producers/order/chunk-reader.ts";
import { imageEvent, planImages } from "../../../src/producers/order/plan-images.ts";
import type { DocumentStreamEvent, StreamEvent } from "../../../src/producers/order/plan-images.ts";
import { rememberedBytes } from "../../../src/producers/order/remembered-keys.ts";
import {
  ask,
  isPressing,
  isReady,
  isSnapshotting,
  nextRequest,
  passStep,
  receive,
  resnapshot,
  startTimeline,
  takeChunk,
  takeSignal,
} from "../../../src/producers/order/timeline.ts";
import type {
  Published,
  StreamPosition,
  StreamStep,
  Timeline,
  TimelineOptions,
} from "../../../src/producers/order/timeline.ts";
import { splitTruncates } from "../../../src/producers/order/truncates.ts";
import type { Meaning } from "../../../src/producers/order/truncates.ts";
import type { LoggedSignal, SourceBatch } from "../../../src/producers/ports.ts";
import { newSnapshot } from "../../../src/schemas/change-event.ts";
import type { Position, Version } from "../../../src/schemas/change-event.ts";
import type { Signal } from "../../../src/schemas/signal.ts";
import { CollectionModel } from "./collection-model.ts";
import type { Parity, Write } from "./collection-model.ts";

export const KEYS = ["a", "b", "c", "d", "e", "f"];
/** Of the second, only documents that match a filter are replicated. */
export const COLLECTIONS = ["one", "two"];
const FILTERED = "two";

/** @param filter the one in force */
export function filterOf(collection: string, filter: Parity): Parity | null {
  return collection === FILTERED ? filter : null;
}

const READ_DOCUMENTS = 3;
export const keyOf = (documentKey: Uint8Array): string => Buffer.from(documentKey).toString().charAt(0);

/** What happens next, if it is possible now. */
export type Step =
  | { readonly kind: "commit"; readonly writes: readonly Write[] }
  | { readonly kind: "truncate"; readonly collection: string; readonly writes: readonly Write[] }
  /** The stream gives this many events, perhaps only a part of a transaction, or none and a newer time. */
  | { readonly kind: "stream"; readonly events: number; readonly isTooOld: boolean; readonly isCut: boolean }
  | { readonly kind: "ask" }
  /** The chunk that was asked for is read, as of this many writes ago. */
  | { readonly kind: "read"; readonly writesAgo: number }
  | { readonly kind: "chunk"; readonly most: number }
  /** The process ends; another resumes at the position in Kafka. */
  | { readonly kind: "crash" }
  /** The process ends; another finds that the stream cannot resume there any more. */
  | { readonly kind: "history lost" }
  /** The process ends; another resumes with another filter. */
  | { readonly kind: "other filter" }
  /** The process ends; another resumes after a gap in the stream, and an operator resyncs all collections. */
  | { readonly kind: "gap" }
  | { readonly kind: "send"; readonly signal: Signal | null }
  | { readonly kind: "take signal" };

export const write = fc.record({
  collection: fc.constantFrom(...COLLECTIONS),
  key: fc.constantFrom(...KEYS),
  kind: fc.constantFrom("put", "update", "delete"),
}) satisfies fc.Arbitrary<Write>;

const collection = fc.constantFrom(...COLLECTIONS);
const keys = fc.subarray(KEYS, { minLength: 1 });

/** A filter is a text of the keys that it finds. */
const signal: fc.Arbitrary<Signal | null> = fc.oneof(
  fc.record({ type: fc.constant("resync" as const), collection, empty: fc.boolean() }),
  fc.record({ type: fc.constant("snapshot" as const), collection }),
  fc.record({ type: fc.constant("snapshot" as const), collection, filter: keys.map((some) => some.join("")) }),
  fc.record({
    type: fc.constant("snapshot" as const),
    collection,
    ids: keys.map((some) => some.map((id) => ({ id }))),
  }),
  fc.constant(null),
);

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("commit"), writes: fc.array(write, { minLength: 1, maxLength: 4 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("truncate"),
      collection: fc.constantFrom(...COLLECTIONS),
      writes: fc.array(write, { maxLength: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("stream"),
      events: fc.nat(6),
      isTooOld: fc.boolean(),
      isCut: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("ask") }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read"), writesAgo: fc.nat(6) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("chunk"), most: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("history lost") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("other filter") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("gap") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("send"), signal }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("take signal") }) },
);

/** About what a remembered key of the model takes. */
const KEY_BYTES = 105;

export const ends = { heldDocuments: 3, heldBytes: 1_000, hasStream: true, findsCollections: true, keyOf };

export const START: Position = {
  resumeToken: "0",
  clusterTime: 1n,
  cluster: "set",
  horizon: 0n,
  snapshots: new Map(),
  signals: { offset: 0n, after: null },
};

/** A producer on a model: what it has published, and what a crash loses. */
export class Run {
  readonly model = new CollectionModel();
  readonly published: SourceBatch[] = [];
  /** For each of these batches, the filter with which it was made. */
  readonly filters: Parity[] = [];
  readonly signals: (Signal | null)[] = [];
  /** When each signal was first taken. */
  readonly takenAt = new Map<bigint, Version>();
  readonly #options: TimelineOptions;
  #timeline: Timeline;
  #stored: Position;
  /** Steps of a batch that is published in parts. */
  #steps: StreamStep[] = [];
  #read: readonly Chunk[] | null = null;
  filter: Parity = "even";

  constructor(rememberedKeys: number) {
    this.#options = { ...ends, rememberedBytes: rememberedKeys * KEY_BYTES };
    const snapshots = new Map(COLLECTIONS.map((name) => [name, newSnapshot(START.clusterTime)]));
    this.#stored = { ...START, snapshots };
    this.#timeline = startTimeline(this.#stored);
  }

  /** Random writes before the first position, for the snapshots to read. */
  begin(writes: readonly Write[]): void {
    for (const one of writes) this.model.commit([one]);
    const resumeToken = String(this.model.events.length);
    this.#stored = { ...this.#stored, resumeToken, clusterTime: this.model.now };
    this.#timeline = startTimeline(this.#stored);
  }

  do(step: Step): void {
    switch (step.kind) {
      case "commit":
        return this.model.commit(step.writes);
      case "truncate":
        return this.model.replace(
          step.collection,
          step.writes.filter(({ collection }) => collection === step.collection),
        );
      case "stream":
        return this.stream(step);
      case "ask":
        return this.ask();
      case "read":
        return this.read(step.writesAgo);
      case "chunk":
        return this.chunk(step.most);
      case "crash":
        return this.#restart(this.#stored);
      case "history lost":
        return this.#restart(resnapshot(this.#stored, this.#streamNow()));
      case "other filter":
        this.filter = this.filter === "even" ? "odd" : "even";
        return this.#restart(copyAnew(this.#stored, [FILTERED], new Set([FILTERED])));
      case "gap":
        for (const each of COLLECTIONS) this.signals.push({ type: "resync", collection: each });
        return this.#restart({ ...this.#stored, ...this.#streamNow() });
      case "send":
        this.signals.push(step.signal);
        return;
      case "take signal":
        return this.takeSignal();
    }
  }

  takeSignal(): void {
    const { selection, position } = this.#timeline;
    const { offset } = position.signals;
    const next = this.signals[Number(offset)];
    if (selection !== null || next === undefined) return;
    if (!this.takenAt.has(offset)) this.takenAt.set(offset, position.clusterTime);
    const logged: LoggedSignal = { offset, signal: next };
    this.#publish(takeSignal(this.#timeline, logged));
  }

  #restart(stored: Position): void {
    this.#stored = stored;
    this.#timeline = startTimeline(stored);
    this.#steps = [];
    this.#read = null;
  }

  /** Where a new stream begins. */
  #streamNow(): StreamPosition {
    const resumeToken = String(this.model.events.length);
    return { resumeToken, clusterTime: this.model.now, horizon: this.#stored.horizon };
  }

  #stateAt(collection: string, key: string, version: Version): Buffer | null {
    return this.model.matchAt(collection, key, version, filterOf(collection, this.filter));
  }

  get isDone(): boolean {
    const { position } = this.#timeline;
    const isCaughtUp = Number(position.resumeToken) === this.model.events.length && this.#steps.length === 0;
    const hasSignals = position.signals.offset < BigInt(this.signals.length);
    return isCaughtUp && !hasSignals && !isSnapshotting(this.#timeline);
  }

  stream({ events, isTooOld, isCut }: { events: number; isTooOld: boolean; isCut: boolean }): void {
    if (isPressing(this.#timeline, this.#options)) return this.#publish(takeChunk(this.#timeline, this.#options));
    if (this.#steps.length === 0) this.#steps = this.#nextSteps(events, isTooOld, isCut);
    const step = this.#steps.shift();
    if (step !== undefined) this.#publish(passStep(this.#timeline, step, this.#options));
  }

  ask(): void {
    const request = nextRequest(this.#timeline, this.#options);
    if (request !== null) this.#timeline = ask(this.#timeline, request);
  }

  read(writesAgo: number): void {
    const { asked } = this.#timeline;
    if (asked === null || this.#read !== null) return;
    this.model.passTo(asked.notBefore);
    // Sometimes a little too old, which a real server would not be.
    const time = this.model.now - BigInt(writesAgo);
    const version = time < asked.notBefore - 1n ? asked.notBefore - 1n : time;
    this.#read = asked.selection?.signal.ids === undefined ? this.#scan(asked, version) : this.#byId(asked, version);
  }

  #scan({ collection, selection, after }: ChunkRequest, version: Version): readonly Chunk[] {
    const { filter } = selection?.signal ?? {};
    const found = KEYS.filter((key) => after === null || key > after)
      .filter((key) => filter === undefined || filter.includes(key))
      .filter((key) => this.#stateAt(collection, key, version) !== null);
    const some = found.slice(0, READ_DOCUMENTS);
    const isLast = some.length < READ_DOCUMENTS;
    const read = { ...NOT_BY_ID, collection, selection, version };
    const parts = some.map((key): Chunk => {
      const documents = [this.#stateAt(collection, key, version) ?? Buffer.alloc(0)];
      return { ...read, documents, after: key, isLast: false };
    });
    return isLast ? [...parts, { ...read, documents: [], after: null, isLast }] : parts;
  }

  #byId({ collection, selection, after }: ChunkRequest, version: Version): readonly Chunk[] {
    const ids = (selection?.signal.ids ?? []).map(({ id }) => id);
    const next = Number(after ?? 0) + READ_DOCUMENTS;
    const asked = ids.slice(Number(after ?? 0), next);
    const found = asked.map((key) => [key, this.#stateAt(collection, key, version)] as const);
    const documents = found.flatMap(([, document]) => document ?? []);
    const absent = found.filter(([, document]) => document === null).map(([key]) => Buffer.from(key));
    const isLast = next >= ids.length;
    const read = { ...NOT_BY_ID, collection, selection, version, documents, absent };
    return [{ ...read, after: isLast ? null : String(next), isLast }];
  }

  chunk(most: number): void {
    if (this.#read !== null) {
      this.#timeline = receive(this.#timeline, this.#read);
      this.#read = null;
    } else if (isReady(this.#timeline, this.#options)) {
      this.#publish(takeChunk(this.#timeline, this.#options, most));
    }
  }

  /** The steps as the exact stream makes them: with `planImages`, and reads at the batch's end or now. */
  #nextSteps(count: number, isTooOld: boolean, isCut: boolean): StreamStep[] {
    const before = this.#timeline.position;
    const { horizon } = before;
    const from = Number(before.resumeToken);
    const batch = this.model.events.slice(from, from + count);
    const isEnd = from + batch.length === this.model.events.length;
    if (batch.length === 0 && !isEnd) return [];
    const resumeToken = String(from + batch.length);
    const clusterTime = isEnd && !isCut ? this.model.now : (batch.at(-1)?.version ?? before.clusterTime);
    const resolves = batch.length > 0 && (clusterTime < horizon || isTooOld);
    const at = resolves ? this.model.now : clusterTime;
    const { truncates, events } = splitTruncates(batch, meaningOf);
    const plan = planImages(events, keyOf, resolves ? clusterTime : horizon, (name) => name === FILTERED);
    const images = plan.reads.map((read) => imageEvent(read, this.#stateAt(read.collection, read.key, at), at));
    const after = { resumeToken, clusterTime, horizon: at > clusterTime && at > horizon ? at : horizon };
    const head = [...truncates, ...plan.events];
    if (!isCut || images.length < 2) return [{ events: [...head, ...images], position: after }];
    const partly = { ...before, horizon: at > horizon ? at : horizon };
    return [
      { events: [...head, ...images.slice(0, 1)], position: partly },
      { events: images.slice(1), position: after },
    ];
  }

  /** An idle step's position need not be stored. */
  #publish({ timeline, batch }: Published): void {
    const { snapshots, signals } = this.#timeline.position;
    const isIdle =
      batch.events.length === 0 && batch.position.snapshots === snapshots && batch.position.signals === signals;
    this.#timeline = timeline;
    const most = this.#options.rememberedBytes + 2 * KEYS.length * KEY_BYTES;
    expect(rememberedBytes(timeline)).toBeLessThanOrEqual(most);
    if (isIdle) return;
    this.published.push(batch);
    this.filters.push(this.filter);
    this.#stored = batch.position;
  }
}

function meaningOf(event: StreamEvent): Meaning {
  return event.operationType === "drop" ? [event.collection] : (event as DocumentStreamEvent);
}
