// Preloaded into a measured process. At its end, writes what the process used to the file HEADRACE_BENCH_USAGE.
// JavaScript, because loading Node's TypeScript compiler would count as part of the measurement.
import { readFileSync, writeFileSync } from "node:fs";

const file = process.env["HEADRACE_BENCH_USAGE"];
process.once("exit", () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  const usage = { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMemoryMb: peakMemoryKb() / 1024 };
  if (file !== undefined) writeFileSync(file, JSON.stringify(usage));
});

/** Linux adds the parent's memory to a process's `maxRSS` (`setmax_mm_hiwater_rss` in fs/exec.c). */
function peakMemoryKb() {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS;
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}
