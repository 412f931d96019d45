#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --max-semi-space-size=16
// MALLOC_ARENA_MAX and --max-semi-space-size (MB) limit the memory under load; docs/performance.md has the measurements.
//
// This file must load in old versions of Node, so that it can refuse them: it imports no name that they do not have.
import * as module from "node:module";
import { nodeComplaint } from "./node-version.ts";

const complaint = nodeComplaint(process.versions.node);
if (complaint !== null) {
  process.stderr.write(`error: ${complaint}\n`);
  process.exit(1);
}
// Keeps compiled code in the system's temporary folder, so that every later start is faster.
module.enableCompileCache();
await import("./program.ts");
