import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ProcessFailed, rejectOnAbort, untilReady } from "../server-start.ts";

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
  /** Ends it. The data are thrown away, so this can be a quick death as long as nothing outside its folder stays. */
  readonly stopSignal: NodeJS.Signals;
}

export type ToSupervisor =
  | { readonly id: number; readonly start: ProcessSpec }
  | { readonly id: number; readonly stop: NodeJS.Signals };
export type FromSupervisor = { readonly id: number; readonly ended: string; readonly ok: boolean };

/**
 * Starts processes through one small process of its own, which ends them and removes their folder when it is told
 * to, and also when this process is gone for whatever reason (Ctrl-C, a crash, SIGKILL): it sees its channel close.
 */
export class Supervisor {
  /** Temporary folder of everything that is started; removed at the end. */
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

  /** `report` gets a line when a server ends that should run on. */
  static async start(report: (line: string) => void): Promise<Supervisor> {
    const folder = await mkdtemp(join(tmpdir(), "headrace-stack-"));
    // A server that runs as another user has to get through to its own folder in it.
    await chmod(folder, 0o711);
    const script = fileURLToPath(new URL("supervisor-process.ts", import.meta.url));
    // Detached: a Ctrl-C in the terminal must not reach it, or it could not end the servers in order.
    const child = fork(script, [folder], {
      detached: true,
      execArgv: [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    await once(child, "spawn");
    return new Supervisor(folder, child, report);
  }

  /** Runs a process until it ends. Rejects with ProcessFailed unless its exit code is 0. */
  async run(spec: ProcessSpec, signal: AbortSignal): Promise<void> {
    const { ended, ok } = await Promise.race([this.#start(spec).end, rejectOnAbort(signal)]);
    if (!ok) throw new ProcessFailed(`${spec.name} failed: ${ended}.`, await logOf(spec));
  }

  /**
   * Starts a server and returns once `ready`, which is tried again and again, resolves.
   * Rejects with ProcessFailed when the server ends before that or takes longer than two minutes.
   * What it gives ends the server by its stop signal and starts it again with its data, up to `ready`.
   */
  async serve(spec: ProcessSpec, signal: AbortSignal, ready: () => Promise<void>): Promise<() => Promise<void>> {
    let running = await this.#serve(spec, signal, ready);
    return async () => {
      this.#restarting.add(running.id);
      this.#send({ id: running.id, stop: spec.stopSignal });
      await running.end;
      running = await this.#serve(spec, signal, ready);
    };
  }

  async #serve(spec: ProcessSpec, signal: AbortSignal, ready: () => Promise<void>): Promise<Running> {
    const running = this.#start(spec);
    const ended = running.end.then(({ ended }) => ended);
    await untilReady({ name: spec.name, ended, log: () => logOf(spec) }, signal, ready);
    void running.end.then(({ id, ended }) => {
      if (this.#child.connected && !this.#restarting.delete(id)) this.#report(`${spec.name} ended by itself: ${ended}`);
    });
    return running;
  }

  /** Ends all processes, removes the folder and waits until that is done. */
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
