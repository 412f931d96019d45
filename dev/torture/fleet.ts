import { setTimeout as sleep } from "node:timers/promises";
import type { HeadraceProcess } from "../headrace-process.ts";

export type Command = "produce" | "consume";

/** A process of the pipeline, and what its end is to be taken for. */
export interface Member {
  readonly command: Command;
  readonly process: HeadraceProcess;
  readonly startedAtMs: number;
  /** What is to be in its log when it ends by itself; `asked`: its end was asked for. */
  expected: string | undefined;
}

export interface FleetOptions {
  readonly create: (command: Command) => HeadraceProcess;
  /** Whether any server could not be reached at some moment since then, as processes that start need them all. */
  readonly serversWereAway: (sinceMs: number) => boolean;
  readonly report: (line: string) => void;
}

/** Exit codes after SIGTERM: 128 + 15 by Headrace's own doing. */
const DRAINED = 143;
/** A start gives up after a minute; the rest is the start of the process itself on a busy machine. */
const START_MS = 120_000;
/** The last word of a process that could not start for that. */
const AWAY = /"code":"(?:[A-Z]+_(?:UNAVAILABLE|TIMEOUT|READ_ONLY|OUT_OF_RESOURCES)|CHECKS_FAILED)"/;
const RESTART_MS = 1_000;
/** Longer than any orchestrator waits for a process to end. */
const STOP_MS = 60_000;

/** One producer and one consumer, kept running as an orchestrator would, and others for a while. */
export class Fleet {
  /** What went wrong with processes that nothing explains. */
  readonly failures: string[] = [];
  /** How often a process gave up at its start while a server was away, and was started again. */
  restartsAtStart = 0;
  readonly #options: FleetOptions;
  readonly #main = new Map<Command, Member>();
  readonly #members = new Set<Member>();
  #closing = false;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** The one that is kept running. */
  main(command: Command): Member {
    return this.#main.get(command) ?? this.replace(command);
  }

  /** Starts a process in the place of the one that is kept running; that one is left alone. */
  replace(command: Command): Member {
    const member = this.launch(command);
    this.#main.set(command, member);
    return member;
  }

  /** Starts a process beside the one that is kept running. */
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

  /** Stops it in order. A process that does not end, or ends with another code than it should, is a failure. */
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
      this.#options.report(`${member.command} gave up at its start, and is started again`);
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
