import { Command } from "commander";
import { snapshotSignal } from "../../operations/make-signals.ts";
import { EXIT_DONE, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";
import { sendRequest } from "../send-request.ts";

interface SnapshotOptions {
  readonly collection: string;
  readonly filter?: string;
  readonly ids?: readonly string[];
  readonly wait?: true;
}

export function snapshotCommand(): Command {
  const command = new Command("snapshot")
    .description(
      "Read a collection, or some of its documents, again. Deletes no rows, except those of --ids whose document is gone.",
    )
    .requiredOption("--collection <name>", "the collection to read")
    .option("--filter <json>", "only the documents that this MongoDB query finds, in Extended JSON")
    .option("--ids <json...>", `only the documents of these _ids, in Extended JSON: 7, '"abc"', '{"$oid":"…"}'`)
    .option("--wait", "wait until the tables have the result");
  return onConfig(command, "question", async (context) => {
    const { collection, filter, ids, wait } = command.opts<SnapshotOptions>();
    if (filter !== undefined && ids !== undefined) {
      process.stderr.write("error: give either --filter or --ids, not both\n");
      return EXIT_USAGE;
    }
    const request = await snapshotSignal(context, { collection, filter, ids });
    await sendRequest(context, [request], { wait: wait === true });
    return EXIT_DONE;
  });
}
