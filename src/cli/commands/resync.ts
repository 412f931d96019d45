import { Command } from "commander";
import { resyncSignals } from "../../operations/make-signals.ts";
import { EXIT_DONE, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";
import { sendRequest } from "../send-request.ts";

interface ResyncOptions {
  readonly collection?: string;
  readonly all?: true;
  readonly empty?: true;
  readonly wait?: true;
}

export function resyncCommand(): Command {
  const command = new Command("resync")
    .description("Copy collections again, and delete the rows whose documents are gone.")
    .option("--collection <name>", "the collection to copy")
    .option("--all", "every collection that the pipeline replicates")
    .option(
      "--empty",
      "empty the tables first; without it, rows are deleted at the end and the tables stay full meanwhile",
    )
    .option("--wait", "wait until the tables have the result");
  return onConfig(command, "question", async (context) => {
    const { collection, all, empty, wait } = command.opts<ResyncOptions>();
    if ((collection === undefined) === (all === undefined)) {
      process.stderr.write("error: give either --collection NAME or --all\n");
      return EXIT_USAGE;
    }
    const signals = await resyncSignals(context, { collection: collection ?? null, empty });
    await sendRequest(context, signals, { wait: wait === true });
    return EXIT_DONE;
  });
}
