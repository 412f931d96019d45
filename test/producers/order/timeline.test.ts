import * as fc from "fast-check";
import { expect, test } from "vitest";
import { NOT_BY_ID } from "../../../src/producers/order/chunk-reader.ts";
import { rememberedBytes } from "../../../src/producers/order/remembered-keys.ts";
import {
  ask,
  nextRequest,
  passStep,
  receive,
  startTimeline,
  takeChunk,
  takeSignal,
} from "../../../src/producers/order/timeline.ts";
import { newSnapshot } from "../../../src/schemas/change-event.ts";
import type { Position, Version } from "../../../src/schemas/change-event.ts";
import type { Signal } from "../../../src/schemas/signal.ts";
import { COLLECTIONS, KEYS, Run, START, ends, filterOf, keyOf, step, write } from "./timeline-model.ts";
import type { Step } from "./timeline-model.ts";

/** The table that a sink makes of the batches. Checks the promises of the log while it reads. */
function replay({ model, published, filters }: Run): Map<string, string> {
  const table = new Map<string, { version: Version; document: Buffer | null }>();
  const floors = new Map<string, Version>();
  const events = published.flatMap((batch, index) =>
    batch.events.map((event) => [event, filterOf(event.collection, filters[index]!)] as const),
  );
  for (const [event, filter] of events) {
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
    const expected = model.matchAt(collection, key, version, filter);
    expect(document?.toString(), `${id} at ${version}`).toBe(expected?.toString());
    expect(op === "d").toBe(document === null);
    expect(version, id).toBeGreaterThanOrEqual(table.get(id)?.version ?? 0n);
    expect(version, id).toBeGreaterThanOrEqual(floors.get(collection) ?? 0n);
    table.set(id, { version, document });
  }
  return new Map([...table].flatMap(([id, { document }]) => (document === null ? [] : [[id, document.toString()]])));
}

/** Checks that the log has each id of a signal at a version not older than the signal. */
function expectSignalsCarriedOut({ signals, takenAt, published }: Run): void {
  const newest = new Map<string, Version>();
  for (const event of published.flatMap(({ events }) => events)) {
    if (event.op !== "t") newest.set(`${event.collection}/${keyOf(event.documentKey)}`, event.version);
  }
  for (const [index, signal] of signals.entries()) {
    if (signal?.type !== "snapshot") continue;
    for (const { id } of signal.ids ?? []) {
      const version = newest.get(`${signal.collection}/${id}`);
      expect(version, `${id} by signal ${index}`).toBeGreaterThanOrEqual(takenAt.get(BigInt(index)) ?? 0n);
    }
  }
}

/** Lets the producer go on until it has published everything. */
function finish(run: Run): void {
  for (let rounds = 0; !run.isDone; rounds++) {
    expect(rounds).toBeLessThan(1_000);
    run.stream({ events: 5, isTooOld: false, isCut: false });
    run.ask();
    run.read(0);
    run.chunk(1);
    run.takeSignal();
  }
}

function contentOf({ model, filter }: Run): Map<string, string> {
  const ids = COLLECTIONS.flatMap((collection) => KEYS.map((key) => [collection, key] as const));
  return new Map(
    ids.flatMap(([collection, key]) => {
      const document = model.matchAt(collection, key, model.now, filterOf(collection, filter));
      return document === null ? [] : [[`${collection}/${key}`, document.toString()] as const];
    }),
  );
}

test("versions never fall, each is the document at its time, and nothing is missing, in any order of events, also of filters", () => {
  fc.assert(
    fc.property(
      fc.array(write, { maxLength: 20, size: "max" }),
      fc.array(step, { maxLength: 120, size: "max" }),
      fc.nat(6),
      (first, steps, keys) => {
        const run = new Run(keys);
        run.begin(first);
        for (const one of steps) run.do(one);
        finish(run);
        expect(replay(run)).toEqual(contentOf(run));
        expectSignalsCarriedOut(run);
      },
    ),
    { numRuns: 3_000 },
  );
});

test("a sweep keeps a document whose event is older than the first chunk, in a step that has newer events, too", () => {
  const run = new Run(6);
  run.begin([]);
  const put = (key: string): Step => ({ kind: "commit", writes: [{ collection: "one", key, kind: "put" }] });
  for (const step of [put("c"), put("a"), put("a")]) run.do(step);
  run.do({ kind: "ask" });
  run.do({ kind: "read", writesAgo: 1 });
  finish(run);
  expect(replay(run)).toEqual(contentOf(run));
});

test("after a change of the filter, a drop that was resolved beforehand does not lose the sweep", () => {
  const run = new Run(0);
  run.begin([{ collection: "one", key: "a", kind: "put" }]);
  const put = (collection: string) => ({ collection, key: "a", kind: "put" as const });
  const steps: Step[] = [
    { kind: "other filter" },
    { kind: "commit", writes: [put("one"), put("two")] },
    { kind: "commit", writes: [put("one")] },
    { kind: "truncate", collection: "two", writes: [put("two"), put("two")] },
    // Reads the documents as they are after the drop.
    { kind: "stream", events: 2, isTooOld: true, isCut: false },
    { kind: "other filter" },
  ];
  for (const step of steps) run.do(step);
  finish(run);
  expect(replay(run)).toEqual(contentOf(run));
});

test("without a stream, chunks are published at once, and the horizon tells a later stream about them", () => {
  const options = { ...ends, hasStream: false, rememberedBytes: 0 };
  const start: Position = { ...START, clusterTime: 3n, horizon: 5n, snapshots: new Map([["one", newSnapshot()]]) };
  const request = nextRequest(startTimeline(start), options);
  expect(request).toEqual({ collection: "one", selection: null, after: null, notBefore: 5n });
  const chunk = {
    ...NOT_BY_ID,
    collection: "one",
    selection: null,
    documents: [Buffer.from("a0")],
    version: 9n,
    after: null,
    isLast: true,
  };
  const timeline = receive(ask(startTimeline(start), request!), [chunk]);
  const { batch } = takeChunk(timeline, options);
  expect(batch.events).toMatchObject([{ op: "r", version: 9n }]);
  expect(batch.position).toEqual({ ...start, horizon: 9n, snapshots: new Map([["one", { state: "done", at: 9n }]]) });
});

test("no chunk is requested while enough are held", () => {
  const options = { ...ends, heldBytes: 3, rememberedBytes: 0 };
  let timeline = startTimeline({ ...START, clusterTime: 3n, snapshots: new Map([["one", newSnapshot()]]) });
  timeline = ask(timeline, nextRequest(timeline, options)!);
  expect(nextRequest(timeline, options)).toBeNull();
  const one = { ...NOT_BY_ID, collection: "one", selection: null };
  const chunk = { ...one, documents: [Buffer.from("a0")], version: 4n, after: "a", isLast: false };
  timeline = receive(timeline, [chunk]);
  timeline = ask(timeline, nextRequest(timeline, options)!);
  expect(timeline.asked?.after).toBe("a");
  timeline = receive(timeline, [{ ...chunk, documents: [Buffer.from("b0")], after: "b" }]);
  expect(nextRequest(timeline, options)).toBeNull();
});

const ofIds: Signal = { type: "snapshot", collection: "one", ids: [{ id: "a" }, { id: "b" }] };

test("a signal's documents are not older than the held chunks of the same keys", () => {
  const options = { ...ends, rememberedBytes: 0 };
  let timeline = startTimeline({ ...START, clusterTime: 3n, snapshots: new Map([["one", newSnapshot()]]) });
  timeline = ask(timeline, nextRequest(timeline, options)!);
  const chunk = { ...NOT_BY_ID, collection: "one", selection: null, documents: [Buffer.from("a0")], version: 9n };
  timeline = receive(timeline, [{ ...chunk, after: "a", isLast: false }]);
  ({ timeline } = takeSignal(timeline, { offset: 4n, signal: ofIds }));
  expect(nextRequest(timeline, options)).toMatchObject({ selection: { offset: 4n }, after: null, notBefore: 9n });
});

test("the keys that are remembered are bounded in bytes, however few they are", () => {
  const options = { ...ends, rememberedBytes: 1_000_000 };
  let timeline = startTimeline({ ...START, clusterTime: 3n, snapshots: new Map([["one", newSnapshot()]]) });
  timeline = ask(timeline, nextRequest(timeline, options)!);
  let most = 0;
  for (let time = 10; time < 40; time++) {
    const documentKey = Buffer.from(String(time).padEnd(300_000));
    const event = {
      op: "u" as const,
      collection: "one",
      documentKey,
      document: Buffer.from("a"),
      version: BigInt(time),
    };
    const position = { resumeToken: String(time), clusterTime: event.version, horizon: 0n };
    ({ timeline } = passStep(timeline, { events: [event], position }, { ...options, keyOf: String }));
    most = Math.max(most, rememberedBytes(timeline));
  }
  expect(most).toBeGreaterThan(600_000);
  expect(most).toBeLessThan(1_400_000);
});

test("a signal in work resumes at its last chunk after a restart", () => {
  const options = { ...ends, rememberedBytes: 0 };
  const stored: Position = { ...START, signals: { offset: 4n, after: "1" } };
  const again = takeSignal(startTimeline(stored), { offset: 4n, signal: ofIds });
  expect(again.batch.position.signals).toEqual({ offset: 4n, after: "1" });
  expect(nextRequest(again.timeline, options)).toMatchObject({ selection: { offset: 4n }, after: "1" });
  const another = takeSignal(startTimeline(stored), { offset: 5n, signal: ofIds });
  expect(nextRequest(another.timeline, options)).toMatchObject({ selection: { offset: 5n }, after: null });
});

/** What the batches say of the snapshot, document by document. */
function marksOf(snapshots: readonly string[], read: readonly (readonly string[])[], signal?: Signal): unknown[] {
  const options = { ...ends, rememberedBytes: 0 };
  const position = new Map(snapshots.map((name) => [name, newSnapshot()] as const));
  let timeline = startTimeline({ ...START, clusterTime: 9n, snapshots: position });
  if (signal !== undefined) ({ timeline } = takeSignal(timeline, { offset: 4n, signal }));
  return read.flatMap((documents, index) => {
    const request = nextRequest(timeline, options)!;
    const isLast = read[index + 1] === undefined || index % 2 === 1;
    const { collection, selection } = request;
    const bytes = documents.map((document) => Buffer.from(document));
    const chunk = { ...NOT_BY_ID, collection, selection, documents: bytes, version: 9n, after: "a", isLast };
    const taken = takeChunk(receive(ask(timeline, request), [chunk]), options);
    timeline = taken.timeline;
    return taken.batch.events.map((event) => (event.op === "t" ? "t" : [collection, event.snapshot]));
  });
}

test("the last document of a collection's snapshot is marked, and the last one of all", () => {
  expect(marksOf(["one", "two"], [["a0"], ["b0", "c0"], ["a0"], ["b0"]])).toEqual([
    ["one", undefined],
    ["one", undefined],
    ["one", "last_in_data_collection"],
    ["two", undefined],
    ["two", "last"],
  ]);
});

test("a snapshot whose last chunk is empty ends without a mark", () => {
  expect(marksOf(["one"], [["a0"], []])).toEqual([["one", undefined]]);
});

test("documents that a signal names are marked as incremental", () => {
  expect(marksOf(["one"], [["a0"], ["b0"], ["a0"], ["b0"]], ofIds)).toEqual([
    ["one", "incremental"],
    ["one", "incremental"],
    ["one", undefined],
    ["one", "last"],
  ]);
});
