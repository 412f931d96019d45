import type { Db } from "mongodb";
import type { BenchContext } from "../scenario.ts";
import { runScript } from "../script-run.ts";
import type { Script, ScriptRun } from "../script-run.ts";
import { manyProducts, withSource } from "../source.ts";
import { mediansOf, rounded } from "../statistics.ts";

export interface ScriptFigures {
  readonly documents: number;
  /** From the start of the process to its end. */
  readonly rowsPerSecond: number;
  readonly cpuMicrosPerRow: number;
  readonly peakMemoryMb: number;
  /** How long ten million documents would take at this rate. Not measured. */
  readonly extrapolatedSecondsOfTenMillion: number;
}

const OLD_JOB: Script = { file: "old-job.mjs", batchRows: 100 };
const OLD_JOB_PAUSE_MS = 100;
const PLAIN_SCRIPT: Script = { file: "plain-script.mjs", batchRows: 1_000 };

/** The job that Headrace replaces, as it was and without its pauses. */
export async function oldJob(context: BenchContext): Promise<object> {
  return await withSource(context.stack, manyProducts(Math.round(10_000 * context.scale)), async (source) => ({
    ...(await measureScript(context, source, { ...OLD_JOB, pauseMs: OLD_JOB_PAUSE_MS })),
    withoutPause: await measureScript(context, source, OLD_JOB),
  }));
}

/** A good script without Kafka, which copies once and does not follow changes. */
export async function plainScript(context: BenchContext): Promise<object> {
  const measure = (documents: number, runs: number): Promise<ScriptFigures> =>
    withSource(context.stack, manyProducts(Math.round(documents * context.scale)), (source) =>
      measureScript({ ...context, runs }, source, PLAIN_SCRIPT),
    );
  return { ...(await measure(300_000, context.runs)), million: await measure(1_000_000, 1) };
}

async function measureScript(
  { stack, runs, report }: BenchContext,
  source: Db,
  script: Script,
): Promise<ScriptFigures> {
  const figures: ScriptFigures[] = [];
  for (let run = 0; run < runs; run++) {
    const one = scriptFigures(await runScript(stack, source, script));
    report(
      `${one.documents} documents: ${one.rowsPerSecond} rows/s, ${one.cpuMicrosPerRow} µs CPU a row, ${one.peakMemoryMb} MB`,
    );
    figures.push(one);
  }
  return mediansOf(figures);
}

export function scriptFigures({ rows, elapsedMs, cpuSeconds, peakMemoryMb }: ScriptRun): ScriptFigures {
  const rowsPerSecond = (rows / elapsedMs) * 1_000;
  return {
    documents: rows,
    rowsPerSecond: rounded(rowsPerSecond, 0),
    cpuMicrosPerRow: rounded((cpuSeconds / rows) * 1e6),
    peakMemoryMb: rounded(peakMemoryMb, 0),
    extrapolatedSecondsOfTenMillion: rounded(10_000_000 / rowsPerSecond, 0),
  };
}
