import type { Context } from "../operations/context.ts";
import { send, sendAndWait } from "../operations/signals.ts";
import type { AwaitedProcess } from "../operations/signals.ts";
import type { Signal } from "../schemas/signal.ts";

/** Sends the signals and says so on stdout; with `wait`, only when what they request is in the tables. */
export async function sendAndTell(
  context: Context,
  signals: readonly Signal[],
  { wait }: { readonly wait: boolean },
): Promise<void> {
  if (wait) {
    await sendAndWait(context, signals, keepWaiting);
    process.stdout.write("Done: it is in the tables.\n");
  } else {
    await send(context, signals);
    process.stdout.write("Sent. A running producer starts at once; otherwise the next one that starts does it.\n");
  }
}

/** For `sendAndWait`: says what is missing, and waits for it. */
function keepWaiting(missing: AwaitedProcess): boolean {
  process.stderr.write(`${silence(missing)} This command keeps waiting.\n`);
  return true;
}

/** For `sendAndWait`: says what is missing, and gives up. */
export function giveUp(missing: AwaitedProcess): boolean {
  process.stderr.write(`${silence(missing)}\n`);
  return false;
}

function silence(missing: AwaitedProcess): string {
  return `No ${missing} seems to run. The request is queued in Kafka until one starts.`;
}
