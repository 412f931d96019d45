import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";
import { freePorts, onFreePorts } from "../../../../dev/stack/free-ports.ts";
import { Supervisor } from "../../../../dev/stack/local/supervisor.ts";
import type { ProcessSpec } from "../../../../dev/stack/local/supervisor.ts";
import { ProcessFailed } from "../../../../dev/stack/server-start.ts";

const { signal } = new AbortController();

function shell(supervisor: Supervisor, script: string, stopSignal: NodeJS.Signals = "SIGTERM"): ProcessSpec {
  const folder = supervisor.folder;
  const logFile = join(folder, "server.log");
  return { name: "Server", command: "sh", args: ["-c", script], cwd: folder, logFile, stopSignal };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function supervised(use: (supervisor: Supervisor, lines: string[]) => Promise<void>): Promise<void> {
  const lines: string[] = [];
  const supervisor = await Supervisor.start((line) => lines.push(line));
  try {
    await use(supervisor, lines);
  } finally {
    await supervisor.stop();
  }
  expect(existsSync(supervisor.folder)).toBe(false);
}

async function fileThere(path: string): Promise<void> {
  if (!existsSync(path)) throw new Error("not yet");
}

test("waits until `ready` resolves; stop ends the server and removes its folder", async () => {
  let folder = "";
  await supervised(async (supervisor) => {
    folder = supervisor.folder;
    const server = shell(supervisor, "sleep 0.1; touch up; exec sleep 1000");
    await supervisor.serve(server, signal, () => fileThere(join(folder, "up")));
    await supervisor.stop();
    await supervisor.stop();
  });
  expect(folder).not.toBe("");
});

test("a restart starts a new process, waits for `ready` and reports no unexpected end", async () => {
  await supervised(async (supervisor, lines) => {
    const pids = join(supervisor.folder, "pids");
    const startedOnce = async (times: number): Promise<number[]> => {
      const started = (await readFile(pids, "utf8")).trim().split("\n").map(Number);
      if (started.length < times) throw new Error("not yet");
      return started;
    };
    let times = 1;
    const server = shell(supervisor, "echo $$ >> pids; exec sleep 1000", "SIGKILL");
    const restart = await supervisor.serve(server, signal, async () => void (await startedOnce(times)));
    times = 2;
    await restart();
    const [first = 0, second = 0] = await startedOnce(2);
    expect([first, second].map(isRunning)).toEqual([false, true]);
    expect(lines).toEqual([]);
  });
});

test("if a server ends before it is ready, the error includes the end of its log", async () => {
  await supervised(async (supervisor) => {
    const server = shell(supervisor, "echo first; echo 'disk full' >&2; exit 7");
    const start = supervisor.serve(server, signal, () => fileThere("/nowhere"));
    await expect(start).rejects.toThrow(/Server did not start: exit code 7\.[^]*first\ndisk full$/);
  });
});

test("a missing program is an error", async () => {
  await supervised(async (supervisor) => {
    const server = { ...shell(supervisor, ""), command: "/nowhere/server" };
    await expect(supervisor.run(server, signal)).rejects.toThrow("ENOENT");
  });
});

test("reports a server that ends unexpectedly", async () => {
  await supervised(async (supervisor, lines) => {
    const server = shell(supervisor, "touch up; until [ -e end ]; do sleep 0.02; done; exit 3");
    await supervisor.serve(server, signal, () => fileThere(join(supervisor.folder, "up")));
    expect(lines).toEqual([]);
    await writeFile(join(supervisor.folder, "end"), "");
    await vi.waitFor(() => expect(lines).toEqual(["Server ended unexpectedly: exit code 3"]));
  });
});

test("an abort ends a start", async () => {
  const controller = new AbortController();
  await supervised(async (supervisor) => {
    const start = supervisor.serve(shell(supervisor, "exec sleep 1000"), controller.signal, () =>
      fileThere("/nowhere"),
    );
    controller.abort(new Error("enough"));
    await expect(start).rejects.toThrow("enough");
  });
});

test("if the starting process is killed, its servers end and their folder is removed", async () => {
  const parent = fork(fileURLToPath(new URL("supervisor-parent.ts", import.meta.url)), { execArgv: [] });
  onTestFinished(() => void parent.kill("SIGKILL"));
  const [{ folder, pid }] = (await once(parent, "message")) as [{ folder: string; pid: number }];
  expect(isRunning(pid)).toBe(true);
  expect(existsSync(folder)).toBe(true);
  parent.kill("SIGKILL");
  await vi.waitFor(
    () => {
      expect(isRunning(pid)).toBe(false);
      expect(existsSync(folder)).toBe(false);
    },
    { timeout: 15_000 },
  );
});

test("free ports differ and can be used", async () => {
  const ports = await freePorts(5);
  expect(new Set(ports).size).toBe(5);
  for (const port of ports) {
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    expect((server.address() as AddressInfo).port).toBe(port);
    await once(server.close(), "close");
  }
});

test.each([
  "Error: listen EADDRINUSE: address already in use 127.0.0.1:1",
  'setup bind :: caused by :: Address already in use","port":1',
  "Port 41599 seems to be in use by another process.",
])("retries on other ports if one is taken: %s", async (log) => {
  const tried: number[] = [];
  const result = await onFreePorts(1, async ([port = 0]) => {
    tried.push(port);
    if (tried.length < 3) throw new ProcessFailed("Server did not start.", log);
    return "up";
  });
  expect(result).toBe("up");
  expect(new Set(tried).size).toBe(3);
});

test("does not retry after another failure", async () => {
  let tries = 0;
  const start = onFreePorts(1, async () => {
    tries++;
    throw new ProcessFailed("Server did not start.", "disk full");
  });
  await expect(start).rejects.toThrow("disk full");
  expect(tries).toBe(1);
});
