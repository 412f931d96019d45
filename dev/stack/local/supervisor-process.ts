// The supervisor process, which starts and ends the servers: see supervisor.ts.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { FromSupervisor, ProcessSpec, ToSupervisor } from "./supervisor.ts";

const folder = process.argv[2];
if (folder === undefined || process.send === undefined) throw new Error("Only supervisor.ts may start this process.");

const running = new Map<number, { readonly child: ChildProcess; readonly stopSignal: NodeJS.Signals }>();
let stopping = false;

process.on("message", (message: ToSupervisor) => {
  const { id } = message;
  if ("stop" in message) {
    running.get(id)?.child.kill(message.stop);
    return;
  }
  const report = (ended: string, ok: boolean): void => {
    // The parent may just be ending; then the channel closes next.
    if (process.connected) process.send?.({ id, ended, ok } satisfies FromSupervisor, undefined, undefined, () => {});
  };
  try {
    start(id, message.start, report);
  } catch (error) {
    report((error as Error).message, false);
  }
});

function start(id: number, spec: ProcessSpec, report: (ended: string, ok: boolean) => void): void {
  const log = openSync(spec.logFile, "a");
  const options = { cwd: spec.cwd, env: { ...process.env, ...spec.env }, ...spec.user };
  const child = spawn(spec.command, spec.args, { ...options, stdio: ["ignore", log, log] });
  closeSync(log);
  running.set(id, { child, stopSignal: spec.stopSignal });
  const end = (ended: string, ok: boolean): void => {
    if (!running.delete(id)) return;
    report(ended, ok);
    if (stopping && running.size === 0) void finish();
  };
  child.once("error", (error) => end(error.message, false));
  child.once("exit", (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`, code === 0));
}

process.once("disconnect", () => {
  stopping = true;
  if (running.size === 0) void finish();
  for (const { child, stopSignal } of running.values()) {
    child.kill(stopSignal);
    setTimeout(() => child.kill("SIGKILL"), 10_000).unref();
  }
});

// Signals are ignored: this process ends only after its parent, so that no server is left behind.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

async function finish(): Promise<void> {
  await rm(folder as string, { recursive: true, force: true, maxRetries: 5 });
  process.exit(0);
}
