import { Command } from "commander";
import type { Config } from "../../config/config-schema.ts";
import { replicationOf } from "../../config/replication.ts";
import { HeadraceError } from "../../errors/error.ts";
import { withRemoval } from "../../operations/removal.ts";
import type { Removal } from "../../operations/removal.ts";
import { EXIT_DONE, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";
import { isConfirmed } from "../confirm.ts";

interface RemoveOptions {
  readonly collection?: string;
  readonly pipeline?: true;
  readonly tables?: true;
  readonly yes?: true;
}

const QUESTION = "Remove all of this? It cannot be undone.";

export function removeCommand(): Command {
  const command = new Command("remove")
    .description(
      "Remove a stopped pipeline, or one collection of it, from Kafka, the schema registry and Headrace's own tables.",
    )
    .option("--collection <name>", "remove this collection")
    .option("--pipeline", "remove the pipeline with all its collections")
    .option("--tables", "also drop the tables")
    .option("--yes", "do not ask for confirmation");
  return onConfig(command, "question", async (context) => {
    const { collection, pipeline, tables, yes } = command.opts<RemoveOptions>();
    if ((collection === undefined) === (pipeline === undefined)) {
      process.stderr.write("error: give either --collection NAME or --pipeline\n");
      return EXIT_USAGE;
    }
    const dropsTables = tables === true;
    return withRemoval({ ...context, collection: collection ?? null, dropsTables }, async (removal, remove) => {
      requireSomething(context.config, collection, removal, dropsTables);
      process.stdout.write(removalText(removal, dropsTables));
      if (collection !== undefined) process.stdout.write(whatHappensNext(context.config, collection));
      if (yes !== true && !(await isConfirmed(QUESTION, context.signal))) return EXIT_USAGE;
      await remove();
      process.stdout.write("Removed.\n");
      return EXIT_DONE;
    });
  });
}

/** @throws HeadraceError NOTHING_TO_REMOVE */
function requireSomething(
  { name }: Config,
  collection: string | undefined,
  removal: Removal,
  dropsTables: boolean,
): void {
  const { topics, groups, subjects, knownTopics, knownTables } = removal;
  const found = [topics, groups, subjects, knownTopics, knownTables];
  if (found.some((each) => each.length > 0)) return;
  const what = collection === undefined ? "" : `the collection ${JSON.stringify(collection)} of `;
  throw new HeadraceError("NOTHING_TO_REMOVE", {
    message: `Kafka, the schema registry and PostgreSQL have nothing of ${what}the pipeline ${name}.${dropsTables ? unknownText(removal) : ""}`,
  });
}

/** Says which tables --tables does not drop. */
function unknownText({ unknownTables }: Removal): string {
  return unknownTables
    .map(({ schema, table }) => ` The table ${schema}.${table} exists but is not known as this pipeline's; it stays.`)
    .join("");
}

function removalText(removal: Removal, dropsTables: boolean): string {
  const { topics, groups, subjects, tables } = removal;
  const names = tables.map(({ schema, table }) => `${schema}.${table}`);
  const lines = [
    ...topics.map((topic) => `topic            ${topic}`),
    ...groups.map((group) => `consumer group   ${group}`),
    ...subjects.map((subject) => `registry subject ${subject}`),
    ...(dropsTables ? names.map((name) => `table            ${name}`) : []),
    "what Headrace stores about them: positions, progress, tombstones, dead letters",
  ];
  const kept =
    dropsTables || names.length === 0
      ? ""
      : `These tables stay as they are (--tables would drop them): ${names.join(", ")}.\n`;
  const unknown = dropsTables && removal.unknownTables.length > 0 ? `${unknownText(removal).trim()}\n` : "";
  return `To be removed:\n${lines.map((line) => `  ${line}\n`).join("")}${kept}${unknown}`;
}

function whatHappensNext(config: Config, collection: string): string {
  return replicationOf(config, collection) !== undefined
    ? "The config still includes this collection: the next start copies it again from a new snapshot.\n"
    : "";
}
