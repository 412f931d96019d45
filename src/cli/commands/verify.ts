import { Command } from "commander";
import { EXIT_DONE, EXIT_FATAL } from "../../runtime/lifecycle.ts";
import { verify, verifyAndRepair } from "../../verify/verify.ts";
import { onConfig } from "../command-context.ts";
import { parseSeconds } from "../options.ts";
import { verifyReport } from "../output/verify-report.ts";
import { stopWaiting } from "../send-request.ts";

export function verifyCommand(): Command {
  const command = new Command("verify")
    .description(
      "Compare every document with its row, and its arrays with their tables, and list the keys that are missing, extra, different or orphaned.",
    )
    .option("--repair", "have the running pipeline read the differing documents again, then compare again")
    .option("--json", "print JSON")
    .option("--collection <name>", "compare only this collection; can be repeated", addName)
    .option(
      "--wait <seconds>",
      "how long to wait for the pipeline to catch up before a difference is reported",
      parseSeconds,
      30,
    );
  return onConfig(command, "question", async (context) => {
    const { json = false, collection: collections, wait, repair = false } = command.opts<CommandOptions>();
    const options = { collections, waitMs: wait * 1000 };
    const result = await (repair
      ? verifyAndRepair(context, options, { onRepair: announceRepair, onSilence: stopWaiting })
      : verify(context, options));
    process.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : verifyReport(result));
    return result.equal ? EXIT_DONE : EXIT_FATAL;
  });
}

interface CommandOptions {
  readonly json?: boolean;
  readonly repair?: boolean;
  readonly collection?: readonly string[];
  readonly wait: number;
}

function addName(name: string, names: readonly string[] = []): readonly string[] {
  return [...names, name];
}

function announceRepair(): void {
  process.stderr.write("The pipeline reads the differing documents again. Then everything is compared once more.\n");
}
