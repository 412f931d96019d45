import { setTimeout as sleep } from "node:timers/promises";
import { BSON } from "mongodb";
import { expect, test } from "vitest";
import { keyOf } from "../../../src/producers/mongodb/document-key.ts";
import { ChunkReader, NOT_BY_ID } from "../../../src/producers/order/chunk-reader.ts";
import type { Chunk } from "../../../src/producers/order/chunk-reader.ts";
import { ReadAhead } from "../../../src/producers/order/read-ahead.ts";
import { SHORT_WAIT_MS, oneSequence } from "../../../src/producers/order/sequence.ts";
import type { SequenceOptions } from "../../../src/producers/order/sequence.ts";
import type { StreamStep } from "../../../src/producers/order/timeline.ts";
import type { OpenSignals } from "../../../src/producers/ports.ts";
import { newSnapshot } from "../../../src/schemas/change-event.ts";
import type { Position, Version } from "../../../src/schemas/change-event.ts";
import { silentLogger } from "../mongodb/source-collector.ts";

const START: Position = {
  resumeToken: "start",
  clusterTime: 10n,
  isWhole: true,
  cluster: "cluster",
  horizon: 0n,
  snapshots: new Map([["items", newSnapshot()]]),
  signals: { offset: 0n, after: null },
};

const PUBLISHING_MS = 100;
const CHUNK_VERSION = 20n;

function document(_id: number): Uint8Array {
  return BSON.serialize({ _id });
}

function step(clusterTime: Version, changed?: number): StreamStep {
  const key = changed === undefined ? null : document(changed);
  return {
    events:
      key === null ? [] : [{ op: "u", collection: "items", documentKey: key, document: key, version: clusterTime }],
    position: { resumeToken: String(clusterTime), clusterTime, isWhole: true, horizon: 0n },
  };
}

function part(_id: number, isLast: boolean): Chunk {
  return {
    collection: "items",
    selection: null,
    documents: [document(_id)],
    ...NOT_BY_ID,
    version: CHUNK_VERSION,
    after: String(_id),
    isLast,
  };
}

const noSignals: OpenSignals = {
  end: 0n,
  take: () => null,
  arrival: () => new Promise(() => {}),
  close: async () => {},
};

const OPTIONS: SequenceOptions = {
  keyOf,
  heldDocuments: 10,
  heldBytes: 1_000_000,
  rememberedBytes: 100_000,
  hasStream: true,
  until: null,
  intervalMs: 0,
  findsCollections: false,
  isReplicated: async () => true,
  logger: silentLogger,
};

/** A stream with these steps. After the last one its reads never end. */
function streamOf(steps: AsyncGenerator<StreamStep, void, void>, waits: number[] = []): ReadAhead<StreamStep> {
  const next = async (maxWaitMs: number): Promise<StreamStep> => {
    waits.push(maxWaitMs);
    const { done, value } = await steps.next();
    return done === true ? Promise.withResolvers<StreamStep>().promise : value;
  };
  return new ReadAhead({ next, close: async () => {} }, SHORT_WAIT_MS);
}

test("while changes come, a change that arrives soon after a part of a snapshot goes before the next part", async () => {
  const firstPart = Promise.withResolvers<void>();
  async function* steps(): AsyncGenerator<StreamStep, void, void> {
    yield step(11n, 1);
    yield step(CHUNK_VERSION);
    await firstPart.promise;
    await sleep(1);
    yield step(21n, 2);
    await sleep(1.5 * PUBLISHING_MS);
    yield step(22n, 3);
    yield step(30n);
  }
  const inputs = {
    stream: streamOf(steps()),
    chunks: new ChunkReader(async () => [part(5, false), part(6, true)]),
    signals: noSignals,
  };
  const ops: string[] = [];
  for await (const { events, onCommitting } of oneSequence(START, inputs, { ...OPTIONS, until: 30n })) {
    onCommitting?.();
    ops.push(...events.map(({ op }) => op));
    await sleep(PUBLISHING_MS);
    if (events[0]?.op === "r") firstPart.resolve();
  }
  expect(ops).toEqual(["u", "r", "u", "u", "r"]);
});

test("reads of the stream wait long for events only while no chunk waits for the stream", async () => {
  const lastChunk = Promise.withResolvers<void>();
  async function* steps(): AsyncGenerator<StreamStep, void, void> {
    yield step(11n, 1);
    yield step(CHUNK_VERSION, 2);
    await lastChunk.promise;
    yield step(21n, 3);
    yield step(22n, 4);
  }
  const waits: number[] = [];
  const inputs = {
    stream: streamOf(steps(), waits),
    chunks: new ChunkReader(async () => [part(5, true)]),
    signals: noSignals,
  };
  for await (const { events, position, onCommitting } of oneSequence(START, inputs, OPTIONS)) {
    onCommitting?.();
    if (events[0]?.op === "r") lastChunk.resolve();
    if (position.clusterTime === 22n) break;
  }
  // The reads of 11, 20 and 21 begin before the chunk is published.
  expect(waits).toEqual([SHORT_WAIT_MS, SHORT_WAIT_MS, SHORT_WAIT_MS, 1_000, 1_000]);
});

test("while the end is awaited, no read of the stream waits long", async () => {
  async function* steps(): AsyncGenerator<StreamStep, void, void> {
    yield step(11n);
    yield step(30n);
  }
  const waits: number[] = [];
  const start = { ...START, snapshots: new Map() };
  const inputs = { stream: streamOf(steps(), waits), chunks: new ChunkReader(async () => []), signals: noSignals };
  const times: Version[] = [];
  for await (const { position } of oneSequence(start, inputs, { ...OPTIONS, until: 29n })) {
    times.push(position.clusterTime);
  }
  expect(times).toEqual([30n]);
  expect(new Set(waits)).toEqual(new Set([SHORT_WAIT_MS]));
});

test.each([
  ["few", 1, ["published", "read"]],
  ["many", 200, ["read", "published"]],
])("the next read of the stream begins after %s events: %i", async (_, count, expected) => {
  const log: string[] = [];
  const steps = [{ ...step(11n), events: Array.from({ length: count }, () => step(11n, 1).events).flat() }, step(30n)];
  const next = async (): Promise<StreamStep> => {
    if (steps.length === 1) log.push("read");
    return steps.shift() ?? Promise.withResolvers<StreamStep>().promise;
  };
  const stream = new ReadAhead({ next, close: async () => {} }, SHORT_WAIT_MS);
  const start = { ...START, snapshots: new Map() };
  const inputs = { stream, chunks: new ChunkReader(async () => []), signals: noSignals };
  for await (const { events, onCommitting } of oneSequence(start, inputs, { ...OPTIONS, until: 29n })) {
    if (events.length === 0) continue;
    await sleep(1);
    log.push("published");
    onCommitting?.();
    onCommitting?.();
  }
  expect(log).toEqual(expected);
});

test("a step whose only event is dropped is passed, and the next one is read", async () => {
  const leftOut = { reasons: new Map([["capped", "it is capped"]]), ended: new Set(["capped"]) };
  const dropped: StreamStep = { ...step(11n), events: [{ op: "t", collection: "capped", version: 11n }], leftOut };
  const steps = [dropped, step(12n, 1)];
  let reads = 0;
  const next = async (): Promise<StreamStep> => {
    reads++;
    await sleep(1);
    return steps.shift() ?? Promise.withResolvers<StreamStep>().promise;
  };
  const stream = new ReadAhead({ next, close: async () => {} }, SHORT_WAIT_MS);
  const inputs = { stream, chunks: new ChunkReader(async () => []), signals: noSignals };
  for await (const { events } of oneSequence({ ...START, snapshots: new Map() }, inputs, OPTIONS)) {
    expect(events).toMatchObject([{ op: "u", version: 12n }]);
    break;
  }
  expect(reads).toBe(2);
});

test.each([
  ["is a rest", 0, null, new Map(), 0],
  ["is a rest", 200, null, new Map(), 200],
  ["is an end", 200, 29n, new Map(), 0],
  ["is a snapshot", 200, null, START.snapshots, 0],
])(
  "where there %s, with an interval of %i ms, transactions of a few changes begin in time",
  async (_, intervalMs, until, snapshots, apartMs) => {
    const steps = [step(11n, 1), step(12n, 1), step(30n)];
    const next = async (): Promise<StreamStep> => steps.shift() ?? Promise.withResolvers<StreamStep>().promise;
    const stream = new ReadAhead({ next, close: async () => {} }, SHORT_WAIT_MS);
    const start = { ...START, snapshots };
    const inputs = { stream, chunks: new ChunkReader(() => new Promise(() => {})), signals: noSignals };
    const began: number[] = [];
    for await (const { onCommitting } of oneSequence(start, inputs, { ...OPTIONS, until, intervalMs })) {
      began.push(performance.now());
      onCommitting?.();
      if (began.length === 2) break;
    }
    const [first = 0, second = 0] = began;
    // Node's timers may fire a millisecond early.
    expect(second - first).toBeGreaterThanOrEqual(apartMs - 2);
    if (apartMs === 0) expect(second - first).toBeLessThan(200);
  },
);
