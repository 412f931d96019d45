import { randomBytes } from "node:crypto";
import { load } from "../load.ts";
import { product } from "../product.ts";
import { makeChanges } from "../scenarios/drain.ts";
import { latencyOf } from "../statistics.ts";
import { expectEqual, untilEqual } from "./arrival.ts";
import type { Journey } from "./arrival.ts";
import { FOR_CHANGES, FOR_COPIES } from "./connectors.ts";
import type { Tuning } from "./connectors.ts";
import { headraceSide } from "./headrace-side.ts";
import { peerSide } from "./peer-side.ts";
import { COLLECTION } from "./side.ts";
import type { PeerBench, Side, SideName } from "./side.ts";
import { usageOf } from "./usage.ts";
import { createProbeIndex, watchUpdates } from "./watched-updates.ts";

/** What one run of a side measured, by name. */
export type Figures = Readonly<Record<string, number>>;

/** One measurement. Both sides run the same code. */
interface Scenario {
  /** Documents that the collection has at the beginning. */
  readonly documents: number;
  /** Of the peer. */
  readonly tuning: Tuning;
  readonly run: (trip: Trip, scale: number) => Promise<Figures>;
}

interface Trip extends Journey {
  readonly bench: PeerBench;
  readonly side: Side;
}

const CHANGES = 100_000;
const PER_SECOND = 200;
const WARM_UP_SECONDS = 10;
const SECONDS = 60;

export const PEER_SCENARIOS = {
  snapshot300k: { documents: 300_000, tuning: FOR_COPIES, run: snapshot },
  snapshot1m: { documents: 1_000_000, tuning: FOR_COPIES, run: snapshot },
  // More documents than the changes need: after their copy, the peer's JVM has compiled its code.
  drain: { documents: 300_000, tuning: FOR_CHANGES, run: drain },
  latency: { documents: 100_000, tuning: FOR_CHANGES, run: latency },
} as const satisfies Readonly<Record<string, Scenario>>;

export type PeerScenarioName = keyof typeof PEER_SCENARIOS;

/**
 * One run of one side, on a new collection and into a new table.
 * @param scale factor for the numbers of documents, changes and seconds
 * @throws Error if the table is not equal to the collection at the end
 */
export async function runSide(
  bench: PeerBench,
  name: PeerScenarioName,
  { side: sideName, scale }: { readonly side: SideName; readonly scale: number },
): Promise<Figures> {
  const { documents, tuning, run } = PEER_SCENARIOS[name];
  const database = `peer_bench_source_${randomBytes(4).toString("hex")}`;
  const collection = bench.mongodb.db(database).collection(COLLECTION);
  try {
    await load(collection, Math.round(documents * scale), product);
    await using side =
      sideName === "peer" ? await peerSide(bench, database, tuning) : await headraceSide(bench, database);
    const trip: Trip = { bench, collection, side, pool: bench.pool };
    const figures = await run(trip, scale);
    await expectEqual(trip);
    await side.stop();
    return figures;
  } finally {
    await bench.mongodb.db(database).dropDatabase();
  }
}

/** From the start until the table has every document. */
async function snapshot(trip: Trip): Promise<Figures> {
  const documents = await trip.collection.countDocuments();
  const { elapsedMs, cpuSeconds, peakMemoryMb } = await startAndArrive(trip);
  return {
    rowsPerSecond: (documents / elapsedMs) * 1_000,
    cpuMicrosPerRow: ((cpuSeconds["pipeline"] ?? NaN) / documents) * 1e6,
    peakMemoryMb,
  };
}

/** Changes that were made while the side was stopped. */
async function drain(trip: Trip, scale: number): Promise<Figures> {
  const changes = Math.round(CHANGES * scale);
  await startAndArrive(trip);
  await trip.side.stop();
  await makeChanges(trip.collection, changes, 1);
  const { elapsedMs, cpuSeconds } = await startAndArrive(trip);
  return {
    changesPerSecond: (changes / elapsedMs) * 1_000,
    cpuMicrosPerChange: ((cpuSeconds["pipeline"] ?? NaN) / changes) * 1e6,
  };
}

/** From the acknowledgement of an update until PostgreSQL shows it; and what that minute costs. */
async function latency(trip: Trip, scale: number): Promise<Figures> {
  const [warmUp, count] = [WARM_UP_SECONDS, SECONDS].map((seconds) => Math.round(seconds * PER_SECOND * scale)) as [
    number,
    number,
  ];
  await startAndArrive(trip);
  await createProbeIndex(trip);
  await watchUpdates(trip, { first: 0, count: warmUp, perSecond: PER_SECOND });
  let timesMs: readonly number[] = [];
  const { cpuSeconds } = await usageOf(trip.bench, trip.side, async () => {
    timesMs = await watchUpdates(trip, { first: warmUp, count, perSecond: PER_SECOND });
  });
  const { p50Ms, p95Ms, p99Ms } = latencyOf(timesMs);
  const cpu = Object.entries(cpuSeconds).map(([name, seconds]) => [`${name}CpuSeconds`, seconds] as const);
  return { p50Ms, p95Ms, p99Ms, ...Object.fromEntries(cpu) };
}

async function startAndArrive(
  trip: Trip,
): Promise<Awaited<ReturnType<typeof usageOf>> & { readonly elapsedMs: number }> {
  let elapsedMs = NaN;
  const usage = await usageOf(trip.bench, trip.side, async () => {
    const began = performance.now();
    await trip.side.start();
    elapsedMs = (await untilEqual(trip)) - began;
  });
  return { ...usage, elapsedMs };
}
