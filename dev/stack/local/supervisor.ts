import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ProcessFailed, rejectOnAbort, untilReady } from "../server-start.ts";
import type { Restart } from "../types.ts";

/** A process for the supervisor to start. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Its standard output and error are appended here. */
  readonly logFile: string;
  /** Ends the process. May skip its cleanup, because its folder is removed, but must leave nothing outside of it. */
  readonly stopSignal: NodeJS.Signals;
}

export type ToSupervisor =
  | { readonly id: number; readonly start: ProcessSpec }
  | { readonly id: number; readonly stop: NodeJS.Signals };
export type FromSupervisor = { readonly id: number; readonly ended: string; readonly ok: boolean };

/**
 * Starts processes through a separate supervisor process. That process ends them and removes their folder on `stop`,
 * and also when this process is gone for any reason (Ctrl-C, a crash, SIGKILL), because then their channel closes.
 */
export class Supervisor {
  /** Temporary folder of all processes; removed at the end. */
  readonly folder: string;
  readonly #child: ChildProcess;
  readonly #report: (line: string) => void;
  readonly #gone: Promise<unknown>;
  readonly #ends = new Map<number, (message: FromSupervisor) => void>();
  readonly #restarting = new Set<number>();
  #lastId = 0;

  private constructor(folder: string, child: ChildProcess, report: (line: string) => void) {
    this.folder = folder;
    this.#report = report;
    this.#child = child;
    this.#gone = once(child, "exit");
    child.on("message", (message: FromSupervisor) => this.#ends.get(message.id)?.(message));
    child.on("exit", () => {
      for (const [id, end] of this.#ends) end({ id, ended: "its supervisor ended", ok: false });
    });
  }

  /** `report` gets a line when a server ends unexpectedly. */
  static async start(report: (line: string) => void): Promise<Supervisor> {
    const folder = await mkdtemp(join(tmpdir(), "headrace-stack-"));
    // A server that runs as another user has to reach its own folder inside.
    await chmod(folder, 0o711);
    const script = fileURLToPath(new URL("supervisor-process.ts", import.meta.url));
    // Detached, so that a Ctrl-C in the terminal does not reach it and it can end the servers in order.
    const child = fork(script, [folder], {
      detached: true,
      execArgv: [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    await once(child, "spawn");
    return new Supervisor(folder, child, report);
  }

  /** Runs a process to its end. @throws ProcessFailed unless its exit code is 0 */
  async run(spec: ProcessSpec, signal: AbortSignal): Promise<void> {
    const { ended, ok } = await Promise.race([this.#start(spec).end, rejectOnAbort(signal)]);
    if (!ok) throw new ProcessFailed(`${spec.name} failed: ${ended}.`, await logOf(spec));
  }

  /**
   * Starts a server, and calls `ready` until it resolves. Resolves to a function that ends the server by its stop signal,
   * does what it is given, starts the server again with its data and waits for `ready`.
   * @throws ProcessFailed if the server ends first, or is not ready after two minutes
   */
  async serve(spec: ProcessSpec, signal: AbortSignal, ready: () => Promise<void>): Promise<Restart> {
    let running = await this.#serve(spec, signal, ready);
    return async (whileStopped) => {
      this.#restarting.add(running.id);
      this.#send({ id: running.id, stop: spec.stopSignal });
      await running.end;
      await whileStopped?.();
      running = await this.#serve(spec, signal, ready);
    };
  }

  async #serve(spec: ProcessSpec, signal: AbortSignal, ready: () => Promise<void>): Promise<Running> {
    const running = this.#start(spec);
    const ended = running.end.then(({ ended }) => ended);
    await untilReady({ name: spec.name, ended, log: () => logOf(spec) }, signal, ready);
    void running.end.then(({ id, ended }) => {
      if (this.#child.connected && !this.#restarting.delete(id))
        this.#report(`${spec.name} ended unexpectedly: ${ended}`);
    });
    return running;
  }

  /** Ends all processes and removes the folder. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#gone;
  }

  #start(spec: ProcessSpec): Running {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<FromSupervisor>();
    this.#ends.set(id, resolve);
    this.#send({ id, start: spec });
    return { id, end: promise };
  }

  #send(message: ToSupervisor): void {
    this.#child.send(message, (error) => {
      if (error !== null) this.#ends.get(message.id)?.({ id: message.id, ended: error.message, ok: false });
    });
  }
}

interface Running {
  readonly id: number;
  readonly end: Promise<FromSupervisor>;
}

async function logOf(spec: ProcessSpec): Promise<string> {
  return await readFile(spec.logFile, "utf8").catch(() => "(it wrote none)");
}
