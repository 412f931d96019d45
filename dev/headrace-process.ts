import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
/** Started as an executable, so that the flags in its first line apply. */
const cli = new URL("../src/cli/main.ts", import.meta.url).pathname;

/** The result of a finished `headrace` command. */
export interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `headrace` command that runs to its end by itself. */
export interface RunningCommand {
  readonly args: readonly string[];
  readonly result: Promise<CommandResult>;
  /** Ends it with SIGKILL. @returns what it has written to stderr */
  kill(): string;
}

/** Starts one `headrace` command. */
export function startCommand(args: readonly string[], env: NodeJS.ProcessEnv): RunningCommand {
  const child = spawn(cli, [...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return {
    args,
    result: once(child, "close").then(([exitCode]) => ({ exitCode: exitCode as number | null, stdout, stderr })),
    kill: () => {
      child.kill("SIGKILL");
      return stderr;
    },
  };
}

/** Runs one `headrace` command to its end. */
export function headrace(args: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  return startCommand(args, env).result;
}

interface ProcessOptions {
  /** The file to run; by default the source. */
  readonly program?: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
}

/** A `headrace` process in the background. Writes its log to a file and samples its memory. */
export class HeadraceProcess {
  /** Highest resident memory seen, in bytes. */
  peakMemoryBytes = 0;
  readonly #options: ProcessOptions;
  #child: ChildProcess | undefined;
  readonly #exited = Promise.withResolvers<void>();

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  /** The command: `produce`, `consume` … */
  get name(): string {
    return this.#options.args[0] ?? "";
  }

  get logFile(): string {
    return this.#options.logFile;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const { program = cli, args, env, logFile } = this.#options;
    const child = spawn(program, [...args], { env, stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.pipe(createWriteStream(logFile));
    const sampling = setInterval(() => void this.#sampleMemory(), 250);
    this.#child = child;
    child.once("close", () => {
      clearInterval(sampling);
      this.#exited.resolve();
    });
  }

  /** Waits until the process logs the message. Resolves to the time of that log line, in ms since 1970. */
  async logged(message: string, { withinMs = 60_000 } = {}): Promise<number> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const line = this.#logLines().find((each) => each.includes(message));
      if (line !== undefined) return timeOf(line);
      if (this.#child?.exitCode !== null) throw this.#failure();
      if (Date.now() > deadline) throw new Error(`headrace ${this.name} did not log "${message}":\n${this.logTail()}`);
      await sleep(50);
    }
  }

  /** Waits for the end of the process. Resolves to its exit code, or to null if a signal ended it. */
  async end(): Promise<number | null> {
    await this.#exited.promise;
    return this.#child?.exitCode ?? null;
  }

  /** Rejects when the process ends; the error includes the end of its log. */
  async unexpectedEnd(): Promise<never> {
    await this.#exited.promise;
    throw this.#failure();
  }

  /** Stops the process with SIGTERM and waits for its end. Does nothing if it does not run. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Ends the process with SIGKILL, like a crash. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Suspends the process with SIGSTOP until `thaw`, like an overloaded machine. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.kill(signal);
    await this.#exited.promise;
  }

  #failure(): Error {
    return new Error(
      `headrace ${this.name} ended with exit code ${this.#child?.exitCode}; the end of its log:\n${this.logTail()}`,
    );
  }

  /** The last lines of the log, without those of level debug. */
  logTail(): string {
    return this.#logLines()
      .filter((line) => !line.startsWith('{"level":"debug"'))
      .slice(-15)
      .join("\n");
  }

  #logLines(): string[] {
    return readFileSync(this.#options.logFile, { encoding: "utf8", flag: "a+" }).trimEnd().split("\n");
  }

  async #sampleMemory(): Promise<void> {
    const bytes = await residentBytes(this.#child?.pid).catch(() => 0);
    this.peakMemoryBytes = Math.max(this.peakMemoryBytes, bytes);
  }
}

/** A process's resident memory. On Linux without `ps`, which would take a tenth of a core at this rate. */
export async function residentBytes(pid: number | undefined): Promise<number> {
  if (process.platform === "linux") {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  }
  const { stdout } = await run("ps", ["-o", "rss=", "-p", String(pid)]);
  return Number(stdout.trim()) * 1024;
}

function timeOf(line: string): number {
  const { time } = JSON.parse(line) as { time: number | string };
  return new Date(time).getTime();
}
