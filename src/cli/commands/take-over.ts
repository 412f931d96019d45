import { Command } from "commander";
import type { ForeignTable } from "../../operations/register/judged-tables.ts";
import { withForeignTables } from "../../operations/register/take-over.ts";
import { EXIT_DONE, EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { onConfig } from "../command-context.ts";
import { isConfirmed } from "../confirm.ts";

export function takeOverCommand(): Command {
  const command = new Command("take-over")
    .description("Make this pipeline the owner of tables that another pipeline has filled, as after a renaming.")
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
        process.stdout.write("No table of these collections belongs to another pipeline or collection.\n");
        return EXIT_DONE;
      }
      process.stdout.write(whatHappens(tables));
      const question = "Stop the other pipeline first. Take these tables over?";
      if (yes !== true && !(await isConfirmed(question, context.signal))) return EXIT_USAGE;
      await takeOver();
      process.stdout.write("Taken over. Start producer and consumers of this pipeline.\n");
      return EXIT_DONE;
    });
  });
}

function whatHappens(tables: readonly ForeignTable[]): string {
  const lines = tables.map(({ wanted, owner }) => {
    const { table, collection } = wanted;
    return `  ${table.schema}.${table.table}   of pipeline ${owner}, from now on for the collection ${collection}`;
  });
  return `To be taken over:\n${lines.join("\n")}\nThe collections are copied into them. Rows whose documents are not found are deleted at the end.\n`;
}
