import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { SourceBatch } from "../../src/producers/ports.ts";
import { imageEvent, planBatch } from "../../src/producers/post-images.ts";
import type { DocumentStreamEvent, StreamEvent } from "../../src/producers/post-images.ts";
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
} from "../../src/producers/timeline.ts";
import type {
  Chunk,
  Published,
  StreamPosition,
  StreamStep,
  Timeline,
  TimelineOptions,
} from "../../src/producers/timeline.ts";
import { splitTruncates } from "../../src/producers/truncates.ts";
import type { Meaning } from "../../src/producers/truncates.ts";
import { newSnapshot } from "../../src/schemas/change-event.ts";
import type { Position, Version } from "../../src/schemas/change-event.ts";
import { CollectionModel } from "./collection-model.ts";
import type { Write } from "./collection-model.ts";

const KEYS = ["a", "b", "c", "d", "e", "f"];
const COLLECTIONS = ["one", "two"];
const READ_DOCUMENTS = 3;
const keyOf = (documentKey: Uint8Array): string => Buffer.from(documentKey).toString().charAt(0);

/** What happens next, as far as it can happen now. */
type Step =
  | { readonly kind: "commit"; readonly writes: readonly Write[] }
  | { readonly kind: "truncate"; readonly collection: string; readonly writes: readonly Write[] }
  /** The stream gives this many events, perhaps only a part of a transaction's, or none and a newer time. */
  | { readonly kind: "stream"; readonly events: number; readonly isTooOld: boolean; readonly isCut: boolean }
  | { readonly kind: "ask" }
  /** The asked chunk is read at a time between the asking and now: this many writes before it. */
  | { readonly kind: "read"; readonly writesAgo: number }
  | { readonly kind: "chunk"; readonly most: number }
  /** The process ends; another begins where Kafka stands. */
  | { readonly kind: "crash" }
  /** The process ends; another finds that the stream cannot go on there any more. */
  | { readonly kind: "history lost" };

const write = fc.record({
  collection: fc.constantFrom(...COLLECTIONS),
  key: fc.constantFrom(...KEYS),
  kind: fc.constantFrom("put", "update", "delete"),
}) satisfies fc.Arbitrary<Write>;

const step: fc.Arbitrary<Step> = fc.oneof(
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
);

const ends = { heldDocuments: 3, heldBytes: 1_000, hasStream: true, keyOf };

const START: Position = {
  resumeToken: "0",
  clusterTime: 1n,
  cluster: "set",
  horizon: 0n,
  snapshots: {},
  signals: { offset: 0n, after: null },
};

/** A producer on a model: what Kafka has been given, and what is lost in a crash. */
class Run {
  readonly model = new CollectionModel();
  readonly published: SourceBatch[] = [];
  readonly #options: TimelineOptions;
  #timeline: Timeline;
  #stored: Position;
  /** Steps of a batch that is published in parts. */
  #steps: StreamStep[] = [];
  #read: readonly Chunk[] | null = null;

  constructor(rememberedKeys: number) {
    this.#options = { ...ends, rememberedKeys };
    const snapshots = Object.fromEntries(COLLECTIONS.map((name) => [name, newSnapshot()]));
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
    }
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

  get isDone(): boolean {
    const { position } = this.#timeline;
    const isCaughtUp = Number(position.resumeToken) === this.model.events.length && this.#steps.length === 0;
    return isCaughtUp && !isSnapshotting(this.#timeline);
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
    // Sometimes a little too old, as a server should not answer.
    const time = this.model.now - BigInt(writesAgo);
    const version = time < asked.notBefore - 1n ? asked.notBefore - 1n : time;
    const keys = KEYS.filter((key) => asked.after === null || key > asked.after).filter(
      (key) => this.model.documentAt(asked.collection, key, version) !== null,
    );
    const some = keys.slice(0, READ_DOCUMENTS);
    const isLast = some.length < READ_DOCUMENTS;
    const { collection } = asked;
    const parts = some.map((key): Chunk => {
      const documents = [this.model.documentAt(collection, key, version) ?? Buffer.alloc(0)];
      return { collection, documents, version, after: key, isLast: false };
    });
    this.#read = isLast ? [...parts, { collection, documents: [], version, after: null, isLast }] : parts;
  }

  chunk(most: number): void {
    if (this.#read !== null) {
      this.#timeline = receive(this.#timeline, this.#read);
      this.#read = null;
    } else if (isReady(this.#timeline, this.#options)) {
      this.#publish(takeChunk(this.#timeline, this.#options, most));
    }
  }

  /** As the exact stream gives them: `planBatch`, and what it asks for read at the batch's end, or now. */
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
    const plan = planBatch(events, keyOf, resolves ? clusterTime : horizon);
    const images = plan.reads.map((read) => imageEvent(read, this.model.documentAt(read.collection, read.key, at), at));
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
    const isIdle = batch.events.length === 0 && batch.position.snapshots === this.#timeline.position.snapshots;
    this.#timeline = timeline;
    const remembered = timeline.remembered.reduce((sum, { keys }) => sum + keys.size, 0);
    expect(remembered).toBeLessThanOrEqual(this.#options.rememberedKeys + 2 * KEYS.length);
    if (isIdle) return;
    this.published.push(batch);
    this.#stored = batch.position;
  }
}

function meaningOf(event: StreamEvent): Meaning {
  return event.operationType === "drop" ? [event.collection] : (event as DocumentStreamEvent);
}

/** What a sink makes of it, which checks the promises of the log as it reads. */
function replay(model: CollectionModel, batches: readonly SourceBatch[]): Map<string, string> {
  const table = new Map<string, { version: Version; document: Buffer | null }>();
  const floors = new Map<string, Version>();
  for (const event of batches.flatMap(({ events }) => events)) {
    const { op, collection, version } = event;
    if (op === "t") {
      floors.set(collection, version);
      for (const [id, row] of table) {
        if (id.startsWith(`${collection}/`) && row.version < version) table.set(id, { ...row, document: null });
      }
      continue;
    }
    const key = keyOf(event.documentKey);
    const id = `${collection}/${key}`;
    const document = event.document === null ? null : Buffer.from(event.document);
    expect(document?.toString(), `${id} at ${version}`).toBe(model.documentAt(collection, key, version)?.toString());
    expect(op === "d").toBe(document === null);
    expect(version, id).toBeGreaterThanOrEqual(table.get(id)?.version ?? 0n);
    expect(version, id).toBeGreaterThanOrEqual(floors.get(collection) ?? 0n);
    table.set(id, { version, document });
  }
  return new Map([...table].flatMap(([id, { document }]) => (document === null ? [] : [[id, document.toString()]])));
}

function contentOf(model: CollectionModel): Map<string, string> {
  const ids = COLLECTIONS.flatMap((collection) => KEYS.map((key) => [collection, key] as const));
  return new Map(
    ids.flatMap(([collection, key]) => {
      const document = model.documentAt(collection, key, model.now);
      return document === null ? [] : [[`${collection}/${key}`, document.toString()] as const];
    }),
  );
}

test("versions never fall, each is the document of its time, and nothing is missing, whatever comes when", () => {
  fc.assert(
    fc.property(
      fc.array(write, { maxLength: 20, size: "max" }),
      fc.array(step, { maxLength: 120, size: "max" }),
      fc.nat(6),
      (first, steps, keys) => {
        const run = new Run(keys);
        run.begin(first);
        for (const one of steps) run.do(one);
        for (let rounds = 0; !run.isDone; rounds++) {
          expect(rounds).toBeLessThan(1_000);
          run.stream({ events: 5, isTooOld: false, isCut: false });
          run.ask();
          run.read(0);
          run.chunk(1);
        }
        expect(replay(run.model, run.published)).toEqual(contentOf(run.model));
      },
    ),
    { numRuns: 3_000 },
  );
});

test("without a stream chunks go at once, and the horizon tells the stream that follows", () => {
  const options = { ...ends, hasStream: false, rememberedKeys: 0 };
  const start: Position = { ...START, clusterTime: 3n, horizon: 5n, snapshots: { one: newSnapshot() } };
  const request = nextRequest(startTimeline(start), options);
  expect(request).toEqual({ collection: "one", after: null, notBefore: 5n });
  const chunk = { collection: "one", documents: [Buffer.from("a0")], version: 9n, after: null, isLast: true };
  const timeline = receive(ask(startTimeline(start), request!), [chunk]);
  const { batch } = takeChunk(timeline, options);
  expect(batch.events).toMatchObject([{ op: "r", version: 9n }]);
  expect(batch.position).toEqual({ ...start, horizon: 9n, snapshots: { one: { state: "done", at: 9n } } });
});

test("no more is read ahead than is asked for", () => {
  const options = { ...ends, heldBytes: 3, rememberedKeys: 0 };
  let timeline = startTimeline({ ...START, clusterTime: 3n, snapshots: { one: newSnapshot() } });
  timeline = ask(timeline, nextRequest(timeline, options)!);
  expect(nextRequest(timeline, options)).toBeNull();
  const chunk = { collection: "one", documents: [Buffer.from("a0")], version: 4n, after: "a", isLast: false };
  timeline = receive(timeline, [chunk]);
  timeline = ask(timeline, nextRequest(timeline, options)!);
  expect(timeline.asked?.after).toBe("a");
  timeline = receive(timeline, [{ ...chunk, documents: [Buffer.from("b0")], after: "b" }]);
  expect(nextRequest(timeline, options)).toBeNull();
});
