import logUpdate from "log-update";

/** A line of the demo's story. */
export function say(line: string): void {
  logUpdate.done();
  console.log(line);
}

/** Says what begins, and when it is done how long it took. */
export async function step<T>(text: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  say(`${text} …`);
  const result = await work();
  say(`  done in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return result;
}

let lastPlainLineMs = 0;

/** A line that is rewritten in place on a terminal, and printed every two seconds elsewhere. */
export function showLive(line: string): void {
  if (process.stdout.isTTY) logUpdate(line);
  else if (Date.now() - lastPlainLineMs > 2_000) {
    lastPlainLineMs = Date.now();
    console.log(line);
  }
}
