import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { serverEnvironment } from "./stack/server-urls.ts";
import type { ServerUrls } from "./stack/server-urls.ts";

/**
 * The addresses in a form that a POSIX shell (`set -a; . ./FILE`) and `node --env-file=FILE` read alike: in single
 * quotes, where neither expands anything. The first line has the process id of the stack.
 */
export function formatEnvFile(urls: ServerUrls, pid: number): string {
  const lines = Object.entries(serverEnvironment(urls)).map(([variable, value]) => {
    if (/['\r\n]/.test(value)) throw new Error(`${variable} contains a quote or a line break. Write it as %27 or %0A.`);
    return `${variable}='${value}'`;
  });
  return `# Headrace's servers, run by process ${pid}\n${lines.join("\n")}\n`;
}

/**
 * Makes sure that a file may be overwritten.
 * @throws Error if the file belongs to another running stack, or was not written by a stack
 */
export function claimEnvFile(path: string): void {
  const text = readIfThere(path);
  if (text === undefined) return;
  const owner = /^# Headrace's servers, run by process (\d+)$/m.exec(text)?.[1];
  if (owner === undefined) throw new Error(`${path} was not written by a stack. Choose another file with --write-env.`);
  if (isRunning(Number(owner))) {
    throw new Error(`${path} belongs to the running stack of process ${owner}. Choose another file with --write-env.`);
  }
}

/** Writes the file so that whoever waits for it finds it whole: it gets its name last. */
export function writeEnvFile(path: string, urls: ServerUrls): void {
  const unnamed = `${path}.${process.pid}`;
  writeFileSync(unnamed, formatEnvFile(urls, process.pid), { flag: "wx", mode: 0o600 });
  renameSync(unnamed, path);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
