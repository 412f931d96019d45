import { setTimeout as sleep } from "node:timers/promises";
import { BenchPipeline } from "../bench-pipeline.ts";
import { cpuSecondsBetween, cpuTimesOf } from "../cpu-time.ts";
import type { CpuTimes } from "../cpu-time.ts";
import { load, update } from "../load.ts";
import { PRODUCT_COLUMNS, product } from "../product.ts";
import type { BenchContext } from "../scenario.ts";
import { serverProcesses } from "../server-processes.ts";
import { rounded } from "../statistics.ts";

const COLLECTION = "products";
const DOCUMENTS = 20_000;
/** Updates per second; at 0 the pipeline is idle. The highest first, as V8 compiles only code that has run often. */
const RATES = [2_000, 200, 20, 0];
const WARM_UP_MS = 10_000;
const DURATION_MS = 30_000;

/** What a steady trickle of updates costs: how much of one core each process and each server takes, in percent. */
export async function trickle({ stack, scale, report }: BenchContext): Promise<object> {
  await using pipeline = await BenchPipeline.create(stack, {
    collections: { [COLLECTION]: { columns: PRODUCT_COLUMNS } },
  });
  await load(pipeline.db.collection(COLLECTION), DOCUMENTS, product);
  pipeline.start();
  await pipeline.untilRows(COLLECTION, DOCUMENTS);
  const figures: Record<string, object> = {};
  for (const rate of RATES) {
    await write(pipeline, rate, WARM_UP_MS * scale);
    figures[rate] = await cpuShares(pipeline, () => write(pipeline, rate, DURATION_MS * scale));
    report(`${rate} updates/s: ${JSON.stringify(figures[rate])}`);
  }
  await pipeline.stop();
  return figures;
}

/** @returns the shares of a core that each process and server takes meanwhile, in percent */
export async function cpuShares(
  pipeline: BenchPipeline,
  work: () => Promise<unknown>,
): Promise<Record<string, number>> {
  const before = await look(pipeline);
  const began = performance.now();
  await work();
  const after = await look(pipeline);
  const seconds = (performance.now() - began) / 1_000;
  const shareOf = (name: string, times: CpuTimes): number =>
    rounded((cpuSecondsBetween(before.get(name) ?? new Map<number, number>(), times) / seconds) * 100);
  return Object.fromEntries([...after].map(([name, times]) => [name, shareOf(name, times)]));
}

async function write(pipeline: BenchPipeline, rate: number, durationMs: number): Promise<void> {
  const until = performance.now() + durationMs;
  if (rate === 0) await sleep(durationMs);
  else await update(pipeline.db.collection(COLLECTION), [0, DOCUMENTS], { rate, until });
}

async function look({ stack, pids }: BenchPipeline): Promise<ReadonlyMap<string, CpuTimes>> {
  const looks = Object.entries({ ...pids, ...(await serverProcesses(stack)) }).map(async ([name, processes]) => {
    return [name, await cpuTimesOf(processes)] as const;
  });
  return new Map(await Promise.all(looks));
}
