import { createInterface } from "node:readline/promises";
import { Command } from "commander";
import type { Config } from "../../config/config-schema.ts";
import { withRemoval } from "../../operations/removal.ts";
import type { Removal } from "../../operations/removal.ts";
import { EXIT_DONE, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";

interface RemoveOptions {
  readonly collection?: string;
  readonly pipeline?: true;
  readonly tables?: true;
  readonly yes?: true;
}

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
      process.stdout.write(removalText(removal, dropsTables));
      if (collection !== undefined) process.stdout.write(whatHappensNext(context.config, collection));
      if (yes !== true && !(await isConfirmed(context.signal))) return EXIT_USAGE;
      await remove();
      process.stdout.write("Removed.\n");
      return EXIT_DONE;
    });
  });
}

function removalText({ topics, groups, subjects, tables }: Removal, dropsTables: boolean): string {
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
  return `To be removed:\n${lines.map((line) => `  ${line}\n`).join("")}${kept}`;
}

function whatHappensNext({ collections }: Config, collection: string): string {
  const isInConfig = collections === undefined || collections[collection] !== undefined;
  return isInConfig
    ? "The config still includes this collection: the next start copies it again from a new snapshot.\n"
    : "";
}

async function isConfirmed(signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    process.stderr.write(
      "error: cannot ask for confirmation, because stdin is not a terminal; give --yes to confirm\n",
    );
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question("Remove all of this? It cannot be undone. Type yes: ", { signal })) === "yes";
  } finally {
    terminal.close();
  }
}
