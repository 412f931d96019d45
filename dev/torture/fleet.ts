import { setTimeout as sleep } from "node:timers/promises";
import type { HeadraceProcess } from "../headrace-process.ts";

export type Command = "produce" | "consume";

/** A process of the pipeline, and the end that is expected of it. */
export interface Member {
  readonly command: Command;
  readonly process: HeadraceProcess;
  readonly startedAtMs: number;
  /** A text that its log has to contain if the process ends. `asked`: this program ends the process. */
  expected: string | undefined;
}

export interface FleetOptions {
  readonly create: (command: Command) => HeadraceProcess;
  /** Whether a server was unreachable at any moment since then. A process needs all servers to start. */
  readonly serversWereAway: (sinceMs: number) => boolean;
  readonly report: (line: string) => void;
}

/** Headrace's exit code after SIGTERM: 128 + 15. */
const DRAINED = 143;
/** A start gives up after a minute. The rest is time to load the process on a busy machine. */
const START_MS = 120_000;
/** In the last log line of a process that could not start because a server was unreachable. */
const AWAY = /"code":"(?:[A-Z]+_(?:UNAVAILABLE|TIMEOUT|READ_ONLY|OUT_OF_RESOURCES)|CHECKS_FAILED)"/;
const RESTART_MS = 1_000;
/** Longer than any orchestrator waits for a process to end. */
const STOP_MS = 60_000;

/** Keeps one producer and one consumer running, like an orchestrator. Can start more of them for a while. */
export class Fleet {
  /** Failures of processes that no fault explains. */
  readonly failures: string[] = [];
  /** How often a process gave up at its start because a server was unreachable, and was restarted. */
  restartsAtStart = 0;
  readonly #options: FleetOptions;
  readonly #main = new Map<Command, Member>();
  readonly #members = new Set<Member>();
  #closing = false;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** The process that is kept running. */
  main(command: Command): Member {
    return this.#main.get(command) ?? this.replace(command);
  }

  /** Starts a process, which is kept running from now on instead of the old one. Does not end the old one. */
  replace(command: Command): Member {
    const member = this.launch(command);
    this.#main.set(command, member);
    return member;
  }

  /** Starts an additional process. */
  launch(command: Command): Member {
    const process = this.#options.create(command);
    const member: Member = { command, process, startedAtMs: Date.now(), expected: undefined };
    this.#members.add(member);
    process.start();
    void process.end().then((exitCode) => this.#ended(member, exitCode));
    return member;
  }

  async kill(member: Member): Promise<void> {
    member.expected = "asked";
    await member.process.kill();
  }

  /** Stops a process with SIGTERM. It is a failure if it does not end in time, or ends with a wrong exit code. */
  async stop(member: Member): Promise<void> {
    const hasEnded = !this.#members.has(member);
    member.expected = "asked";
    const tooLate = setTimeout(() => {
      this.#fail(member, `did not end within ${STOP_MS / 1_000} s after SIGTERM`);
      void member.process.kill();
    }, STOP_MS);
    await member.process.stop();
    clearTimeout(tooLate);
    const exitCode = await member.process.end();
    if (hasEnded) return;
    if (exitCode !== DRAINED && exitCode !== null) this.#fail(member, `ended with ${exitCode} after SIGTERM`);
  }

  /** Waits for the end of a process that has to end by itself. */
  async endOf(member: Member, withinMs: number): Promise<void> {
    const tooLate = setTimeout(() => {
      this.#fail(member, `did not end by itself within ${withinMs / 1_000} s: ${member.expected}`);
      void this.kill(member);
    }, withinMs);
    await member.process.end();
    clearTimeout(tooLate);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#members].map((member) => this.kill(member)));
  }

  #ended(member: Member, exitCode: number | null): void {
    this.#members.delete(member);
    if (member.expected === "asked" || this.#closing) return;
    const log = member.process.logTail();
    const gaveUp = Date.now() - member.startedAtMs < START_MS && AWAY.test(log.split("\n").at(-1) ?? "");
    if (exitCode === 1 && gaveUp && this.#options.serversWereAway(member.startedAtMs)) {
      this.restartsAtStart++;
      this.#options.report(`${member.command} gave up at its start and is restarted`);
    } else if (exitCode !== 1 || member.expected === undefined || !log.includes(member.expected)) {
      this.#fail(member, `ended by itself with ${exitCode}`);
    }
    void this.#restart(member);
  }

  async #restart(member: Member): Promise<void> {
    await sleep(RESTART_MS);
    if (this.#main.get(member.command) === member && !this.#closing) this.replace(member.command);
  }

  #fail(member: Member, what: string): void {
    const failure = `headrace ${member.command} ${what}; the end of its log:\n${member.process.logTail()}`;
    this.failures.push(failure);
    this.#options.report(`FAILURE: ${failure}`);
  }
}
