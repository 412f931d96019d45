import { readFile } from "node:fs/promises";

/** What one process used from its start to its end. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly peakMemoryMb: number;
}

const usageReport = new URL("usage-report.mjs", import.meta.url).href;

/** The environment of a Node process that writes its usage to a file when it ends. */
export function measuredEnvironment(usageFile: string): NodeJS.ProcessEnv {
  return { ...process.env, NODE_OPTIONS: `--import=${usageReport}`, HEADRACE_BENCH_USAGE: usageFile };
}

/** Call it after the process's end. */
export async function readUsage(usageFile: string): Promise<Usage> {
  return JSON.parse(await readFile(usageFile, "utf8")) as Usage;
}
