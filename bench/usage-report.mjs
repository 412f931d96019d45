// Preloaded into a process under measurement: as it ends, it writes what it has used to the file named by the environment.
// JavaScript, since Node would load its TypeScript compiler for it, in the time that is measured.
import { writeFileSync } from "node:fs";

const file = process.env["HEADRACE_BENCH_USAGE"];
process.once("exit", () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const usage = { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, peakMemoryMb: maxRSS / 1024 };
  if (file !== undefined) writeFileSync(file, JSON.stringify(usage));
});
