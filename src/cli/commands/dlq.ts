import { Command } from "commander";
import { discardDeadLetters, listDeadLetters } from "../../consumers/dead-letters/queries.ts";
import { openDeadLetterAccess } from "../../operations/dead-letter-access.ts";
import type { DeadLetterAccess } from "../../operations/dead-letter-access.ts";
import { decodeDeadLetter } from "../../operations/dead-letters/decode-dead-letter.ts";
import { replayAndReread } from "../../operations/dead-letters/replay-dead-letters.ts";
import type { ReplayResults } from "../../operations/dead-letters/replay-dead-letters.ts";
import { tableOf } from "../../operations/tables.ts";
import { EXIT_DONE, EXIT_FATAL, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { filterOf, isFiltered, withFilters } from "../options.ts";
import { deadLetterJson, deadLetterTable, shownJson, shownText } from "../output/dead-letters.ts";

export function dlqCommand(): Command {
  return new Command("dlq")
    .description("List, show, replay or discard dead letters: records that could not be applied.")
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
    const letters = await listDeadLetters(access, filterOf(command, []), { signal });
    const { json } = command.opts<{ json?: true }>();
    print(json === true ? jsonText(letters.map(deadLetterJson)) : deadLetterTable(letters));
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
    const results = await replayAndReread(context, access, filterOf(command, command.args));
    const { json } = command.opts<{ json?: true }>();
    print(json === true ? jsonText(results) : replayText(results));
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
  return onDeadLetters(command, async ({ access, config, signal }) => {
    const { all, json } = command.opts<{ all?: true; json?: true }>();
    if (all !== true && command.args.length === 0 && !isFiltered(command)) {
      process.stderr.write("error: give ids, --all, or one of --table, --error, --since, --until, --key\n");
      return EXIT_USAGE;
    }
    const filter = filterOf(command, command.args);
    const letters = await discardDeadLetters(access, (topic) => tableOf(config, topic), filter, { signal });
    print(json === true ? jsonText(letters.map(deadLetterJson)) : `${letters.length} discarded.\n`);
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
      return await run({ ...context, access });
    } finally {
      await access.close();
    }
  });
}

function replayText({ replayed, superseded, failed, needsSnapshot, unaskable, unknownTopic }: ReplayResults): string {
  const lines = [
    `${replayed} replayed.`,
    ...(superseded > 0 ? [`${superseded} superseded: the table already has newer data.`] : []),
    ...(failed > 0 ? [`${failed} failed again. \`headrace dlq list\` shows the errors.`] : []),
    ...(needsSnapshot > 0
      ? [
          `${needsSnapshot} still open: a producer must read their documents again, and none seems to be running. Start \`headrace produce\`, then replay them again.`,
        ]
      : []),
    ...(unaskable > 0
      ? [
          `${unaskable} still open: the document cannot be read again by its _id (\`headrace dlq show ID\`). Correct it in MongoDB, then run \`headrace dlq discard ID\`.`,
        ]
      : []),
    ...(unknownTopic > 0 ? [`${unknownTopic} still open: the config does not replicate their collections.`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function print(text: string): void {
  process.stdout.write(text);
}
