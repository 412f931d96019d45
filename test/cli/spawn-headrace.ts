import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect } from "vitest";

const cli = new URL("../../src/cli/main.ts", import.meta.url).pathname;

/** A `headrace` command in the background. */
export interface SpawnedHeadrace {
  /** Its log so far. */
  log(): string;
  /** Waits until it logs a message. */
  logged(message: string): Promise<void>;
  /** Sends a signal and gives the exit code. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** Waits for the exit code. */
  ended(): Promise<number | null>;
}

const running = new Set<SpawnedHeadrace>();

afterEach(async () => {
  for (const each of running) await each.end("SIGKILL");
  running.clear();
});

/** Starts a command; it is ended after the test. */
export function spawnHeadrace(...args: string[]): SpawnedHeadrace {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const closed = once(child, "close") as Promise<[number | null]>;
  const spawned: SpawnedHeadrace = {
    log: () => log,
    async logged(message) {
      await expect.poll(() => log.includes(message) || child.exitCode !== null, { timeout: 60_000 }).toBe(true);
      expect(log).toContain(message);
    },
    async end(signal) {
      child.kill(signal);
      return spawned.ended();
    },
    async ended() {
      const [exitCode] = await closed;
      return exitCode;
    },
  };
  running.add(spawned);
  return spawned;
}
