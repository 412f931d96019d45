import { Command } from "commander";
import { discardDeadLetters, listDeadLetters, showDeadLetter } from "../../consumers/dead-letters/queries.ts";
import { replayDeadLetters } from "../../consumers/dead-letters/replay.ts";
import type { ReplayCounts } from "../../consumers/dead-letters/replay.ts";
import { createKafkaDeadLetterWriter } from "../../consumers/dead-letters/topic.ts";
import type { LogRecord } from "../../consumers/ports.ts";
import { PATIENCE, taskId } from "../../consumers/run-consumer.ts";
import { errorKind, HeadraceError } from "../../errors/error.ts";
import { openDeadLetterAccess } from "../../operations/dead-letter-access.ts";
import type { DeadLetterAccess } from "../../operations/dead-letter-access.ts";
import { SnapshotReplays } from "../../operations/replay-documents.ts";
import type { SnapshotReplay } from "../../operations/replay-documents.ts";
import { tableOf } from "../../operations/tables.ts";
import { EXIT_DONE, EXIT_FATAL, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { decodeRecord } from "../../schemas/decoding/record-decoder.ts";
import type { SchemaRegistry } from "../../schemas/registry/registry.ts";
import type { Change } from "../../schemas/row-schema.ts";
import { deadLetterTopic } from "../../schemas/topics.ts";
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
    const details = await showDeadLetter(access, id, { signal });
    if (details === null) throw unknownDeadLetter(id);
    const { record } = details;
    const change = details.letter.needsSnapshot ? null : await readable(access.registry, record);
    const shown = { details, change, key: await access.keyOf(record) };
    const { json } = command.opts<{ json?: true }>();
    print(json === true ? jsonText(shownJson(shown)) : shownText(shown));
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
    const { config, logger, signal } = context;
    const { name } = config;
    const snapshots = new SnapshotReplays(context, access);
    const target = { kafka: access.kafka, topic: deadLetterTopic(name) };
    const writer = createKafkaDeadLetterWriter({ ...target, pipeline: name, taskId: taskId() });
    try {
      const replayed = await replayDeadLetters({
        ...access,
        decode: ({ key, value }) => decodeRecord(access.registry, key, value),
        writer,
        tableOf: (topic) => tableOf(config, topic),
        filter: filterOf(command, command.args),
        patience: PATIENCE,
        logger,
        onResult: async (letter, result, record) => {
          if (result === "needsSnapshot") await snapshots.add(letter, record);
        },
        signal,
      });
      const counts = withSnapshots(replayed, await snapshots.run());
      const { json } = command.opts<{ json?: true }>();
      print(json === true ? jsonText(counts) : replayText(counts));
      const { failed, needsSnapshot, unaskable, unknownTopic } = counts;
      return failed + needsSnapshot + unaskable + unknownTopic > 0 ? EXIT_FATAL : EXIT_DONE;
    } finally {
      await writer.close();
    }
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
      process.stderr.write("error: give ids, a filter or --all\n");
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

/** Null if the record cannot be decoded. */
async function readable(registry: SchemaRegistry, { key, value }: LogRecord): Promise<Change | null> {
  try {
    return await decodeRecord(registry, key, value);
  } catch (error) {
    if (errorKind(error) !== "poison") throw error;
    return null;
  }
}

/** `dlq replay --json` prints this shape, so it must not change. */
type AllCounts = ReplayCounts & SnapshotReplay;

function withSnapshots(counts: ReplayCounts, snapshots: SnapshotReplay): AllCounts {
  const { replayed, failed } = counts;
  return { ...counts, ...snapshots, replayed: replayed + snapshots.replayed, failed: failed + snapshots.failed };
}

function replayText({ replayed, superseded, failed, needsSnapshot, unaskable, unknownTopic }: AllCounts): string {
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
      ? [`${unaskable} still open: MongoDB cannot find their documents by _id. See \`headrace dlq show ID\`.`]
      : []),
    ...(unknownTopic > 0 ? [`${unknownTopic} still open: the config does not replicate their collections.`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

function unknownDeadLetter(id: string): HeadraceError {
  return new HeadraceError("UNKNOWN_DEAD_LETTER", {
    message: `There is no dead letter ${JSON.stringify(id)}.`,
  });
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function print(text: string): void {
  process.stdout.write(text);
}
