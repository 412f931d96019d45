#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --max-semi-space-size=16 --disable-warning=TimeoutNegativeWarning
// MALLOC_ARENA_MAX and --max-semi-space-size (MB) limit the memory under load; docs/performance.md has the measurements.
// The warning is about kafkajs 2.2.4: it sets timers with a negative delay. Node 24 uses 1 ms instead, which is right.
import { enableCompileCache } from "node:module";

// Keeps compiled code in the system's temporary folder, so that every later start is faster.
enableCompileCache();
await import("./program.ts");
