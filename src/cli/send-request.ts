import type { Context } from "../operations/context.ts";
import { send, sendAndWait } from "../operations/signals.ts";
import type { AwaitedProcess } from "../operations/signals.ts";
import type { Signal } from "../schemas/signal.ts";

/** Sends the signals and prints a line about it. With `wait` it prints the line once their result is in the tables. */
export async function sendRequest(
  context: Context,
  signals: readonly Signal[],
  { wait }: { readonly wait: boolean },
): Promise<void> {
  if (wait) {
    await sendAndWait(context, signals, waitOn);
    process.stdout.write(`Done: the ${signals[0]?.type ?? "request"} is applied to the tables.\n`);
  } else {
    await send(context, signals);
    process.stdout.write("Sent. A running producer starts at once; otherwise the request stays queued in Kafka.\n");
  }
}

/** For `sendAndWait`: says which process is probably not running, and keeps waiting. */
function waitOn(missing: AwaitedProcess): boolean {
  process.stderr.write(`${silence(missing)} This command keeps waiting.\n`);
  return true;
}

/** For `sendAndWait`: says which process is probably not running, and stops waiting. */
export function stopWaiting(missing: AwaitedProcess): boolean {
  process.stderr.write(`${silence(missing)}\n`);
  return false;
}

const COMMANDS: Readonly<Record<AwaitedProcess, string>> = { producer: "produce", consumer: "consume" };

function silence(missing: AwaitedProcess): string {
  return `The ${missing} has made no progress for 30 s and is probably not running: start \`headrace ${COMMANDS[missing]}\`. Until then the request stays queued in Kafka.`;
}
