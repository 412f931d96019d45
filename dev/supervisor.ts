import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chmod, mkdtemp, readFile } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";

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

export type ToSupervisor = { readonly id: number; readonly spec: ProcessSpec };
export type FromSupervisor = { readonly id: number; readonly ended: string; readonly ok: boolean };

/** A started process that did not get as far as it should have. Its message has the end of the process's log. */
export class ProcessFailed extends Error {
  readonly log: string;

  constructor(what: string, log: string) {
    super(`${what} The end of its log:\n${log.trim().split("\n").slice(-25).join("\n")}`);
    this.name = "ProcessFailed";
    this.log = log;
  }
}

/**
 * Starts processes through one small process of its own, which ends them and removes their folder when it is told
 * to, and also when this process is gone for whatever reason (Ctrl-C, a crash, SIGKILL): it sees its channel close.
 */
export class Supervisor {
  /** Temporary folder of everything that is started; removed at the end. */
  readonly folder: string;
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;
  readonly #ends = new Map<number, (message: FromSupervisor) => void>();
  #lastId = 0;

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.#child = child;
    this.#gone = once(child, "exit");
    child.on("message", (message: FromSupervisor) => this.#ends.get(message.id)?.(message));
    child.on("exit", () => {
      for (const [id, end] of this.#ends) end({ id, ended: "its supervisor ended", ok: false });
    });
  }

  static async start(): Promise<Supervisor> {
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
    return new Supervisor(folder, child);
  }

  /** Runs a process until it ends. Rejects with ProcessFailed unless its exit code is 0. */
  async run(spec: ProcessSpec): Promise<void> {
    const { ended, ok } = await this.#start(spec);
    if (!ok) throw new ProcessFailed(`${spec.name} failed: ${ended}.`, await logOf(spec));
  }

  /**
   * Starts a server and returns once `ready` resolves.
   * Rejects with ProcessFailed when it ends before that or takes longer than two minutes.
   */
  async serve(spec: ProcessSpec, signal: AbortSignal, ready: () => Promise<void>): Promise<void> {
    const deadline = AbortSignal.timeout(120_000);
    const state: { ended?: string } = {};
    const end = this.#start(spec).then(({ ended }) => (state.ended = ended));
    for (;;) {
      signal.throwIfAborted();
      const outcome = await Promise.race([
        ready().then(
          () => "ready",
          (error: unknown) => ({ error }),
        ),
        end,
      ]);
      if (state.ended !== undefined)
        throw new ProcessFailed(`${spec.name} did not start: ${state.ended}.`, await logOf(spec));
      if (outcome === "ready") return;
      if (deadline.aborted) throw new ProcessFailed(`${spec.name} did not get ready in time.`, await logOf(spec));
      await Promise.race([sleep(50, undefined, { signal }), end]);
    }
  }

  /** Ends all processes, removes the folder and waits until that is done. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#gone;
  }

  #start(spec: ProcessSpec): Promise<FromSupervisor> {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<FromSupervisor>();
    this.#ends.set(id, resolve);
    this.#child.send({ id, spec } satisfies ToSupervisor);
    return promise;
  }
}

async function logOf(spec: ProcessSpec): Promise<string> {
  return await readFile(spec.logFile, "utf8").catch(() => "(it wrote none)");
}
