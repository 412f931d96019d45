import { Command } from "commander";
import { EXIT_DONE, EXIT_FATAL } from "../../runtime/lifecycle.ts";
import { verify, verifyAndRepair } from "../../verify/verify.ts";
import { onConfig } from "../command-context.ts";
import { parseSeconds } from "../options.ts";
import { verifyReport } from "../output/verify-report.ts";
import { giveUp } from "../send-and-tell.ts";

export function verifyCommand(): Command {
  const command = new Command("verify")
    .description(
      "Compare every document with its row, by key and by value; list the keys that are missing, extra or different.",
    )
    .option("--repair", "have the running pipeline read again what is wrong, and compare once more")
    .option("--json", "print the result as JSON")
    .option("--collection <name>", "compare this collection only; may be given several times", addName)
    .option("--wait <seconds>", "how long to wait for the pipeline to apply what differs", parseSeconds, 30);
  return onConfig(command, "question", async (context) => {
    const { json = false, collection: collections, wait, repair = false } = command.opts<CommandOptions>();
    const options = { collections, waitMs: wait * 1000 };
    const result = await (repair
      ? verifyAndRepair(context, options, { onRepair: tellOfRepair, onSilence: giveUp })
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

function tellOfRepair(): void {
  process.stderr.write("The pipeline reads again what differs; then all is compared once more.\n");
}
