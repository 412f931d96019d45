// Waits until a started server is ready, whether it is a process or a container.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

/** A process or a container failed, or did not become ready. The message includes the end of its log. */
export class ProcessFailed extends Error {
  readonly log: string;

  constructor(what: string, log: string, options?: ErrorOptions) {
    super(`${what} The end of its log:\n${log.trim().split("\n").slice(-25).join("\n")}`, options);
    this.name = "ProcessFailed";
    this.log = log;
  }
}

export interface StartingServer {
  readonly name: string;
  /** Resolves to how it ended, if it ends. */
  readonly ended: Promise<string>;
  readonly log: () => Promise<string>;
}

/**
 * Calls `ready` every 50 ms until it resolves.
 * @throws ProcessFailed if the server ends first, or is not ready after two minutes
 */
export async function untilReady(
  { name, ended, log }: StartingServer,
  signal: AbortSignal,
  ready: () => Promise<void>,
): Promise<void> {
  const deadline = performance.now() + 120_000;
  const aborted = rejectOnAbort(signal);
  for (;;) {
    const outcome = await Promise.race([attempt(ready), ended.then((how) => ({ how })), aborted]);
    if (outcome === "ready") return;
    if (outcome !== "not ready") throw new ProcessFailed(`${name} did not start: ${outcome.how}.`, await log());
    if (performance.now() > deadline) {
      throw new ProcessFailed(`${name} was not ready after two minutes.`, await log());
    }
    await sleep(50);
  }
}

async function attempt(ready: () => Promise<void>): Promise<"ready" | "not ready"> {
  return await ready().then(
    () => "ready",
    () => "not ready",
  );
}

export async function rejectOnAbort(signal: AbortSignal): Promise<never> {
  signal.throwIfAborted();
  await once(signal, "abort");
  throw signal.reason;
}
