import { EventEmitter } from "node:events";
import { describe, expect, test } from "vitest";
import { HeadraceError } from "../../src/errors/error.ts";
import { runToExitCode, Stopped } from "../../src/runtime/lifecycle.ts";

class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

function run(main: (signal: AbortSignal) => Promise<number | void>) {
  const events = new FakeProcess();
  const fatal: unknown[] = [];
  const code = runToExitCode(main, { process: events, onFatal: (error) => fatal.push(error) });
  return { events, fatal, code };
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));

describe("runToExitCode", () => {
  test("returns 0 when main ends, or the code that main returns", async () => {
    expect(await run(async () => {}).code).toBe(0);
    expect(await run(async () => 1).code).toBe(1);
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("after %s, main finishes and the exit code is %i", async (name, expected) => {
    let finished = false;
    const { events, code, fatal } = run(async (signal) => {
      await untilAborted(signal);
      finished = true;
    });
    events.emit(name);
    expect(await code).toBe(expected);
    expect(finished).toBe(true);
    expect(fatal).toEqual([]);
    expect(events.exits).toEqual([]);
  });

  test.each([
    ["the signal's reason", (signal: AbortSignal): unknown => signal.reason],
    ["a driver's AbortError", (): unknown => new DOMException("aborted", "AbortError")],
  ])("main throwing %s after a signal counts as a clean shutdown", async (_, thrown) => {
    const { events, code, fatal } = run(async (signal) => {
      await untilAborted(signal);
      throw thrown(signal);
    });
    events.emit("SIGTERM");
    expect(await code).toBe(143);
    expect(fatal).toEqual([]);
  });

  test("an error during the shutdown is fatal", async () => {
    const failure = new Error("commit failed");
    const { events, code, fatal } = run(async (signal) => {
      await untilAborted(signal);
      throw failure;
    });
    events.emit("SIGTERM");
    expect(await code).toBe(1);
    expect(fatal).toMatchObject([{ code: "UNKNOWN_ERROR", cause: failure }]);
  });

  test("a second signal ends the process at once", () => {
    const { events } = run(() => new Promise(() => {}));
    events.emit("SIGTERM");
    expect(events.exits).toEqual([]);
    events.emit("SIGINT");
    expect(events.exits).toEqual([130]);
  });

  test.each(["uncaughtException", "unhandledRejection"])("%s is fatal", (event) => {
    const { events, fatal } = run(() => new Promise(() => {}));
    const error = new Error("nobody caught me");
    events.emit(event, error);
    expect(fatal).toMatchObject([{ code: "UNKNOWN_ERROR", kind: "fatal", cause: error }]);
    expect(events.exits).toEqual([1]);
  });

  test("the exit code is 2 after a usage error, and the error is reported unchanged", async () => {
    const mistake = new HeadraceError("COLLECTION_NOT_REPLICATED", { message: "there is no such collection" });
    const { code, fatal } = run(() => Promise.reject(mistake));
    expect(await code).toBe(2);
    expect(fatal).toEqual([mistake]);
  });

  test("removes its listeners", async () => {
    const { events, code } = run(async () => {
      throw new Error("x");
    });
    expect(await code).toBe(1);
    expect(events.eventNames()).toEqual([]);
  });

  test("an AbortError without a signal is an error like any other", async () => {
    const { code, fatal } = run(async () => {
      throw new Stopped("SIGTERM");
    });
    expect(await code).toBe(1);
    expect(fatal).toHaveLength(1);
  });
});
