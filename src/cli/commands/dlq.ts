import { Command } from "commander";
import { discardDeadLetters, listKeyedDeadLetters } from "../../consumers/dead-letters/queries.ts";
import { openDeadLetterAccess } from "../../operations/dead-letter-access.ts";
import type { DeadLetterAccess } from "../../operations/dead-letter-access.ts";
import { decodeDeadLetter } from "../../operations/dead-letters/decode-dead-letter.ts";
import { replayAndReread } from "../../operations/dead-letters/replay-dead-letters.ts";
import { requireOpen } from "../../operations/dead-letters/require-open.ts";
import { requireTable } from "../../operations/dead-letters/require-table.ts";
import { EXIT_DONE, EXIT_FATAL, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { configOption } from "../config-option.ts";
import { filterOf, isFiltered, withFilters } from "../options.ts";
import {
  NO_MATCH,
  deadLetterJson,
  deadLetterTable,
  keyedJson,
  replayText,
  shownJson,
  shownText,
} from "../output/dead-letters.ts";

export function dlqCommand(): Command {
  return new Command("dlq")
    .description("List, show, replay or discard dead letters: records that could not be applied.")
    .addOption(configOption())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(replayCommand())
    .addCommand(discardCommand());
}

function listCommand(): Command {
  const command = withFilters(
    new Command("list").description("List the open dead letters, or those that match all filters."),
  ).option("--json", "print JSON");
  return onDeadLetters(command, async ({ access, signal }) => {
    const letters = await listKeyedDeadLetters(access, filterOf(command, []), { signal });
    const { json } = command.opts<{ json?: true }>();
    print(json === true ? jsonText(letters.map(keyedJson)) : deadLetterTable(letters, isFiltered(command)));
    return EXIT_DONE;
  });
}

function showCommand(): Command {
  const command = new Command("show")
    .description("Show a dead letter with its failures and its record. Prints the document's values.")
    .argument("<id>", "an id as `headrace dlq list` prints it")
    .option("--json", "print JSON");
  return onDeadLetters(command, async ({ access, signal }) => {
    const [id = ""] = command.args;
    const decoded = await decodeDeadLetter(access, id, { signal });
    const { json } = command.opts<{ json?: true }>();
    print(json === true ? jsonText(shownJson(decoded)) : shownText(decoded));
    return EXIT_DONE;
  });
}

function replayCommand(): Command {
  const command = withFilters(
    new Command("replay")
      .description("Apply all open dead letters again, or those that match. Rows never go back to an older state.")
      .argument("[id...]", "ids as `headrace dlq list` prints them"),
  ).option("--json", "print JSON");
  return onDeadLetters(command, async ({ access, ...context }) => {
    await requireOpen(access, command.args, context);
    const results = await replayAndReread(context, access, filterOf(command, command.args));
    const { json } = command.opts<{ json?: true }>();
    const isNothing = isFiltered(command) && Object.values(results).every((count) => count === 0);
    print(json === true ? jsonText(results) : isNothing ? NO_MATCH : replayText(results));
    const { failed, needsSnapshot, unaskable, unknownTopic } = results;
    return failed + needsSnapshot + unaskable + unknownTopic > 0 ? EXIT_FATAL : EXIT_DONE;
  });
}

function discardCommand(): Command {
  const command = withFilters(
    new Command("discard")
      .description("Close open dead letters without applying them. Their rows stay as they are.")
      .argument("[id...]", "ids as `headrace dlq list` prints them"),
  )
    .option("--all", "all open dead letters")
    .option("--json", "print the closed ones as JSON");
  return onDeadLetters(command, async ({ access, signal }) => {
    const { all, json } = command.opts<{ all?: true; json?: true }>();
    if (all !== true && command.args.length === 0 && !isFiltered(command)) {
      process.stderr.write("error: give ids, --all, or one of --table, --error, --since, --until, --key\n");
      return EXIT_USAGE;
    }
    await requireOpen(access, command.args, { signal });
    const filter = filterOf(command, command.args);
    const letters = await discardDeadLetters(access, filter, { signal });
    const isNothing = isFiltered(command) && letters.length === 0;
    const text = isNothing ? NO_MATCH : `${letters.length} discarded.\n`;
    print(json === true ? jsonText(letters.map(deadLetterJson)) : text);
    return EXIT_DONE;
  });
}

function onDeadLetters(
  command: Command,
  run: (context: CommandContext & { readonly access: DeadLetterAccess }) => Promise<number>,
): Command {
  return onConfig(command, "question", async (context) => {
    const access = await openDeadLetterAccess(context.config, context.logger);
    try {
      await requireTable(access, context.config, command.opts<{ table?: string }>().table, context);
      return await run({ ...context, access });
    } finally {
      await access.close();
    }
  });
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function print(text: string): void {
  process.stdout.write(text);
}
