// Preloaded into a process under measurement: as it ends, it writes what it has used to the file named by the environment.
// JavaScript, since Node would load its TypeScript compiler for it, in the time that is measured.
import { readFileSync, writeFileSync } from "node:fs";

const file = process.env["HEADRACE_BENCH_USAGE"];
process.once("exit", () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  const usage = { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMemoryMb: peakMemoryKb() / 1024 };
  if (file !== undefined) writeFileSync(file, JSON.stringify(usage));
});

/** Linux counts the memory of whoever started a process into `maxRSS` (`setmax_mm_hiwater_rss` in fs/exec.c). */
function peakMemoryKb() {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS;
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}
