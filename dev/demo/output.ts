import logUpdate from "log-update";

/** Prints a line. */
export function say(line: string): void {
  logUpdate.done();
  console.log(line);
}

/** Prints what starts, and at its end how long it took. */
export async function step<T>(text: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  say(`${text} …`);
  const result = await work();
  say(`  done in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return result;
}

let lastPlainLineMs = 0;

/** A line that is updated in place on a terminal. Elsewhere it is printed at most every two seconds. */
export function showLive(line: string): void {
  if (process.stdout.isTTY) logUpdate(line);
  else if (Date.now() - lastPlainLineMs > 2_000) {
    lastPlainLineMs = Date.now();
    console.log(line);
  }
}
