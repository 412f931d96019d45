import { errorKind, withCode } from "../errors/error.ts";

/** Exit codes: done, fatal error, mistake in usage or config. Signals: 128 + number, after a clean drain. */
export const EXIT_DONE = 0;
export const EXIT_FATAL = 1;
export const EXIT_USAGE = 2;

const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

type StopSignal = keyof typeof SIGNAL_EXIT_CODES;

/** The reason that the lifecycle's AbortSignal has. */
export class Stopped extends Error {
  override readonly name = "Stopped";
  readonly stopSignal: StopSignal;

  constructor(stopSignal: StopSignal) {
    super(`stopped by ${stopSignal}`);
    this.stopSignal = stopSignal;
  }
}

/** What is used of `process`; a test gives its own. */
interface ProcessEvents {
  on(event: string, listener: (argument: unknown) => void): unknown;
  off(event: string, listener: (argument: unknown) => void): unknown;
  exit(code: number): void;
}

export interface LifecycleOptions {
  /** Told once about the error that ends the process, wherever it came from; it has a code and a remedy. */
  readonly onFatal: (error: unknown) => void;
  /** Told when the first signal has come and the work is being finished. */
  readonly onDrain?: (stopSignal: StopSignal) => void;
  readonly process?: ProcessEvents;
}

/**
 * Runs `main` and gives the exit code. The first SIGTERM or SIGINT aborts the signal that main has, so that
 * it finishes what it has begun; a second one ends the process at once. An error that nobody caught ends
 * it too: going on in an unknown state could lose data.
 * @param main resolves to its exit code, or to nothing for 0.
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

/** A driver answers the aborted signal with an AbortError of its own. */
function isStop(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error instanceof Stopped || (error instanceof Error && error.name === "AbortError"));
}
