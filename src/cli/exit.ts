/** How long what is still open may keep the process alive, ms. */
const PATIENCE_MS = 1_000;

/**
 * Lets the process end by itself with this exit code, which it does when everything is closed. `process.exit` would cut what a slow
 * reader of stdout has not read, and now and then Node hangs in it for ever: a background thread of V8 waits for a
 * garbage collection, and the main thread for that thread (https://github.com/nodejs/node/issues/54918).
 */
export async function exit(code: number): Promise<void> {
  process.exitCode = code;
  await new Promise<void>((resolve) => {
    process.stdout.write("", () => resolve());
  });
  // Only for what a driver forgets to close: the timer itself keeps nothing alive.
  setTimeout(() => process.exit(code), PATIENCE_MS).unref();
}
