import { cpuSecondsBetween, cpuTimesOf, machineCpuSeconds, peakMemoryMbOf } from "../cpu-time.ts";
import type { CpuTimes } from "../cpu-time.ts";
import { serverProcesses } from "../server-processes.ts";
import type { PeerBench, Side } from "./side.ts";

/** What a piece of work took. */
export interface Usage {
  /** CPU seconds of the side's own processes: `pipeline`. And of each server: `kafka`, `mongodb`, `postgres`. */
  readonly cpuSeconds: Readonly<Record<string, number>>;
  /** Highest resident memory of one of the side's processes since it started. */
  readonly peakMemoryMb: number;
}

/** So much of a core is not worth a word: the registry, the system itself. */
const QUIET_CORES = 0.1;

/**
 * Does the work, and says what it took. Processes that it starts count from their start. Reports when other programs
 * have used the machine meanwhile.
 */
export async function usageOf(bench: PeerBench, side: Side, work: () => Promise<unknown>): Promise<Usage> {
  const [before, machineBefore, ownBefore] = [await look(bench, side), await machineCpuSeconds(), process.cpuUsage()];
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1_000;
  const own = process.cpuUsage(ownBefore);
  const machine = (await machineCpuSeconds()) - machineBefore;
  const cpuSeconds = Object.fromEntries(
    [...(await look(bench, side))].map(
      ([name, times]) => [name, cpuSecondsBetween(before.get(name) ?? new Map<number, number>(), times)] as const,
    ),
  );
  const known = [(own.user + own.system) / 1e6, ...Object.values(cpuSeconds)].reduce((sum, each) => sum + each, 0);
  const others = (machine - known) / seconds;
  if (others > QUIET_CORES) bench.report(`Disturbed: other programs took ${others.toFixed(2)} cores meanwhile.`);
  return { cpuSeconds, peakMemoryMb: await peakMemoryMbOf(side.pids()) };
}

async function look({ stack }: PeerBench, side: Side): Promise<ReadonlyMap<string, CpuTimes>> {
  const processes = Object.entries({ pipeline: side.pids(), ...(await serverProcesses(stack)) });
  return new Map(await Promise.all(processes.map(async ([name, pids]) => [name, await cpuTimesOf(pids)] as const)));
}
