import { Command } from "commander";
import { resyncSignals } from "../../operations/make-signals.ts";
import { EXIT_DONE, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";
import { sendAndTell } from "../send-and-tell.ts";

interface ResyncOptions {
  readonly collection?: string;
  readonly all?: true;
  readonly empty?: true;
  readonly wait?: true;
}

export function resyncCommand(): Command {
  const command = new Command("resync")
    .description("Copy collections again, and delete from their tables what MongoDB does not have.")
    .option("--collection <name>", "the collection")
    .option("--all", "all that the pipeline replicates")
    .option("--empty", "empty the tables first; otherwise they are swept at the end, and readers never miss a row")
    .option("--wait", "wait until it is in the tables");
  return onConfig(command, "question", async (context) => {
    const { collection, all, empty, wait } = command.opts<ResyncOptions>();
    if ((collection === undefined) === (all === undefined)) {
      process.stderr.write("error: give --collection NAME or --all\n");
      return EXIT_USAGE;
    }
    const signals = await resyncSignals(context, { collection: collection ?? null, empty });
    await sendAndTell(context, signals, { wait: wait === true });
    return EXIT_DONE;
  });
}
