import { Command } from "commander";
import type { ForeignTable } from "../../operations/register/judged-tables.ts";
import { withForeignTables } from "../../operations/register/take-over.ts";
import { EXIT_DONE, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";
import { isConfirmed } from "../confirm.ts";

export function takeOverCommand(): Command {
  const command = new Command("take-over")
    .description(
      "Make this pipeline the owner of tables that another pipeline, or another of its collections, has filled, as after a renaming.",
    )
    .option("--collection <name>", "take over the table of this collection")
    .option("--all", "take over the tables of all collections")
    .option("--yes", "do not ask for confirmation");
  return onConfig(command, "question", async (context) => {
    const { collection, all, yes } = command.opts<{ collection?: string; all?: true; yes?: true }>();
    if ((collection === undefined) === (all === undefined)) {
      process.stderr.write("error: give either --collection NAME or --all\n");
      return EXIT_USAGE;
    }
    return withForeignTables(context, collection ?? null, async (tables, takeOver) => {
      if (tables.length === 0) {
        process.stdout.write(
          "Nothing to take over: the tables of these collections belong to this pipeline already, or to none.\n",
        );
        return EXIT_DONE;
      }
      const { name } = context.config;
      process.stdout.write(whatHappens(tables, name));
      const isOwn = tables.every(({ owner }) => owner === name);
      const question = `Stop ${isOwn ? "this" : "the other"} pipeline first. Take these tables over?`;
      if (yes !== true && !(await isConfirmed(question, context.signal))) return EXIT_USAGE;
      await takeOver();
      process.stdout.write("Taken over. Start producer and consumers of this pipeline.\n");
      return EXIT_DONE;
    });
  });
}

function whatHappens(tables: readonly ForeignTable[], name: string): string {
  const lines = tables.map(({ wanted, owner }) => {
    const { table, collection } = wanted;
    const from = owner === name ? "of this pipeline, but filled from another collection" : `of pipeline ${owner}`;
    return `  ${table.schema}.${table.table}   ${from}, from now on for the collection ${collection}`;
  });
  return `To be taken over:\n${lines.join("\n")}\nThe collections are copied into them. Rows whose documents are not found are deleted at the end.\n`;
}
