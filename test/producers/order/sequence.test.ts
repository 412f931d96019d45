import { setTimeout as sleep } from "node:timers/promises";
import { BSON } from "mongodb";
import { expect, test } from "vitest";
import { keyOf } from "../../../src/producers/mongodb/document-key.ts";
import { ChunkReader, NOT_BY_ID } from "../../../src/producers/order/chunk-reader.ts";
import type { Chunk } from "../../../src/producers/order/chunk-reader.ts";
import { ReadAhead } from "../../../src/producers/order/read-ahead.ts";
import { oneSequence } from "../../../src/producers/order/sequence.ts";
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
  snapshots: { items: newSnapshot() },
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
  start: 0n,
  end: 0n,
  take: () => null,
  arrival: () => new Promise(() => {}),
  close: async () => {},
};

test("while changes come, those that arrive soon after a part of a chunk go before the next part", async () => {
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
    // A stream does not end by itself.
    await Promise.withResolvers<void>().promise;
  }
  const inputs = {
    stream: new ReadAhead(steps()),
    chunks: new ChunkReader(async () => [part(5, false), part(6, true)]),
    signals: noSignals,
    hurry: () => {},
  };
  const options = {
    keyOf,
    heldDocuments: 10,
    heldBytes: 1_000_000,
    rememberedKeys: 1_000,
    hasStream: true,
    until: 30n,
    findsCollections: false,
    isReplicated: async () => true,
    logger: silentLogger,
  };
  const ops: string[] = [];
  for await (const { events } of oneSequence(START, inputs, options)) {
    ops.push(...events.map(({ op }) => op));
    await sleep(PUBLISHING_MS);
    if (events[0]?.op === "r") firstPart.resolve();
  }
  expect(ops).toEqual(["u", "r", "u", "u", "r"]);
});
