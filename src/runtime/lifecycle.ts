import { errorKind, withCode } from "../errors/error.ts";

/**
 * Exit codes: done, fatal error, mistake in the command line or config. After a signal and a clean shutdown: 128 + its
 * number.
 */
export const EXIT_DONE = 0;
export const EXIT_FATAL = 1;
export const EXIT_USAGE = 2;

const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

type StopSignal = keyof typeof SIGNAL_EXIT_CODES;

/** The reason of the AbortSignal that `runToExitCode` passes to `main`. */
export class Stopped extends Error {
  override readonly name = "Stopped";
  readonly stopSignal: StopSignal;

  constructor(stopSignal: StopSignal) {
    super(`stopped by ${stopSignal}`);
    this.stopSignal = stopSignal;
  }
}

/** The part of `process` that is used here. Tests pass their own. */
interface ProcessEvents {
  on(event: string, listener: (argument: unknown) => void): unknown;
  off(event: string, listener: (argument: unknown) => void): unknown;
  exit(code: number): void;
}

export interface LifecycleOptions {
  /** Called once with the error that ends the process. The error has a code and a remedy. */
  readonly onFatal: (error: unknown) => void;
  /** Called at the first signal, while `main` finishes its work. */
  readonly onDrain?: (stopSignal: StopSignal) => void;
  readonly process?: ProcessEvents;
}

/**
 * Runs `main` and returns the exit code. The first SIGTERM or SIGINT aborts the signal of `main`, which then finishes
 * the work that it has started. A second one ends the process immediately. An uncaught error ends the process, too,
 * because continuing in an unknown state could lose data.
 * @param main resolves to its exit code; undefined means 0
 */
export async function runToExitCode(
  main: (signal: AbortSignal) => Promise<number | void>,
  { onFatal, onDrain, process: events = process }: LifecycleOptions,
): Promise<number> {
  const controller = new AbortController();
  const stop = (stopSignal: StopSignal) => () => {
    if (controller.signal.aborted) return events.exit(SIGNAL_EXIT_CODES[stopSignal]);
    onDrain?.(stopSignal);
    controller.abort(new Stopped(stopSignal));
  };
  const crash = (error: unknown) => {
    onFatal(withCode(error));
    events.exit(EXIT_FATAL);
  };
  const listeners: readonly (readonly [string, (argument: unknown) => void])[] = [
    ["SIGINT", stop("SIGINT")],
    ["SIGTERM", stop("SIGTERM")],
    ["uncaughtException", crash],
    ["unhandledRejection", crash],
  ];
  for (const [event, listener] of listeners) events.on(event, listener);
  try {
    const code = (await main(controller.signal)) ?? EXIT_DONE;
    return code === EXIT_DONE ? exitCodeAfter(controller.signal) : code;
  } catch (error) {
    if (isStop(error, controller.signal)) return exitCodeAfter(controller.signal);
    onFatal(withCode(error));
    return errorKind(error) === "usage" ? EXIT_USAGE : EXIT_FATAL;
  } finally {
    for (const [event, listener] of listeners) events.off(event, listener);
  }
}

function exitCodeAfter(signal: AbortSignal): number {
  const reason: unknown = signal.reason;
  return signal.aborted && reason instanceof Stopped ? SIGNAL_EXIT_CODES[reason.stopSignal] : EXIT_DONE;
}

/** Drivers throw their own AbortError when the signal aborts. */
function isStop(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error instanceof Stopped || (error instanceof Error && error.name === "AbortError"));
}
