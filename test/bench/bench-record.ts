import type { BenchRecord } from "../../bench/record.ts";

/** A record in which nothing is of interest but what is given. */
export function record(given: Partial<BenchRecord> = {}): BenchRecord {
  return {
    commit: "a".repeat(40),
    subject: "Add something",
    isModified: false,
    measuredAt: "2026-11-28T14:00:00.000Z",
    machine: {
      cores: 2,
      cpu: "some processor",
      memoryMb: 8_000,
      os: "Linux x64",
      node: "24.21.0",
      stack: "local",
      servers: { mongodb: "6.0.5", kafka: "4.3.1" },
    },
    options: { runs: 3, scale: 1, isWarm: true },
    figures: {},
    ...given,
  };
}
