#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --max-semi-space-size=16 --disable-warning=TimeoutNegativeWarning
// The young generation's limit (MB) keeps a process under load below 300 MB; V8's own choice takes 430 and is no faster.
// One arena of glibc's malloc for all threads: zstd in four of them leaves holes of 20 MB; it costs no time.
// kafkajs 2.2.4 sets a timer to a negative time, which Node 24 warns of and takes for 1 ms, as is right.
import { enableCompileCache } from "node:module";

// Keeps compiled code in the system's folder for temporary files: every start after the first takes 0.2 s less.
enableCompileCache();
await import("./program.ts");
