import * as fc from "fast-check";
import { expect, test } from "vitest";
import { NOT_BY_ID } from "../../../src/producers/order/chunk-reader.ts";
import {
  ask,
  nextRequest,
  receive,
  startTimeline,
  takeChunk,
  takeSignal,
} from "../../../src/producers/order/timeline.ts";
import type { SourceBatch } from "../../../src/producers/ports.ts";
import { newSnapshot } from "../../../src/schemas/change-event.ts";
import type { Position, Version } from "../../../src/schemas/change-event.ts";
import type { Signal } from "../../../src/schemas/signal.ts";
import type { CollectionModel } from "./collection-model.ts";
import { COLLECTIONS, KEYS, Run, START, ends, keyOf, step, write } from "./timeline-model.ts";

/** The table that a sink makes of the batches. Checks the promises of the log while it reads. */
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

function contentOf(model: CollectionModel): Map<string, string> {
  const ids = COLLECTIONS.flatMap((collection) => KEYS.map((key) => [collection, key] as const));
  return new Map(
    ids.flatMap(([collection, key]) => {
      const document = model.documentAt(collection, key, model.now);
      return document === null ? [] : [[`${collection}/${key}`, document.toString()] as const];
    }),
  );
}

test("versions never fall, each is the document at its time, and nothing is missing, in any order of events", () => {
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
          run.takeSignal();
        }
        expect(replay(run.model, run.published)).toEqual(contentOf(run.model));
        expectSignalsCarriedOut(run);
      },
    ),
    { numRuns: 3_000 },
  );
});

test("without a stream, chunks are published at once, and the horizon tells a later stream about them", () => {
  const options = { ...ends, hasStream: false, rememberedKeys: 0 };
  const start: Position = { ...START, clusterTime: 3n, horizon: 5n, snapshots: { one: newSnapshot() } };
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
  expect(batch.position).toEqual({ ...start, horizon: 9n, snapshots: { one: { state: "done", at: 9n } } });
});

test("no chunk is requested while enough are held", () => {
  const options = { ...ends, heldBytes: 3, rememberedKeys: 0 };
  let timeline = startTimeline({ ...START, clusterTime: 3n, snapshots: { one: newSnapshot() } });
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
  const options = { ...ends, rememberedKeys: 0 };
  let timeline = startTimeline({ ...START, clusterTime: 3n, snapshots: { one: newSnapshot() } });
  timeline = ask(timeline, nextRequest(timeline, options)!);
  const chunk = { ...NOT_BY_ID, collection: "one", selection: null, documents: [Buffer.from("a0")], version: 9n };
  timeline = receive(timeline, [{ ...chunk, after: "a", isLast: false }]);
  ({ timeline } = takeSignal(timeline, { offset: 4n, signal: ofIds }));
  expect(nextRequest(timeline, options)).toMatchObject({ selection: { offset: 4n }, after: null, notBefore: 9n });
});

test("a signal in work resumes at its last chunk after a restart", () => {
  const options = { ...ends, rememberedKeys: 0 };
  const stored: Position = { ...START, signals: { offset: 4n, after: "1" } };
  const again = takeSignal(startTimeline(stored), { offset: 4n, signal: ofIds });
  expect(again.batch.position.signals).toEqual({ offset: 4n, after: "1" });
  expect(nextRequest(again.timeline, options)).toMatchObject({ selection: { offset: 4n }, after: "1" });
  const another = takeSignal(startTimeline(stored), { offset: 5n, signal: ofIds });
  expect(nextRequest(another.timeline, options)).toMatchObject({ selection: { offset: 5n }, after: null });
});
