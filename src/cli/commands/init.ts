import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { configText, sampleCollections } from "../../operations/propose-config.ts";
import type { SampledCollection } from "../../operations/propose-config.ts";
import { withDatabase } from "../../operations/source-database.ts";
import { EXIT_DONE, EXIT_USAGE, runToExitCode } from "../../runtime/lifecycle.ts";
import { printFatal } from "../command-context.ts";

interface InitOptions {
  readonly database: string;
  readonly mongodbUri?: string;
  readonly sample: number;
  readonly out: string;
}

export function initCommand(): Command {
  const command = new Command("init")
    .description("Look at a database and write a config for it, with typed columns that fit its documents.")
    .requiredOption("-d, --database <name>", "database whose collections are to be replicated")
    .option("--mongodb-uri <uri>", "where it is (default: the environment's MONGODB_URI)")
    .option("--sample <documents>", "documents of each collection to look at", Number, 1_000)
    .option("-o, --out <file>", "config file to write; one that exists is never overwritten", "headrace.yaml");
  return command.action(async () => {
    const exitCode = await runToExitCode(() => init(command.opts<InitOptions>()), { onFatal: printFatal });
    process.exit(exitCode);
  });
}

async function init({ database, mongodbUri = process.env["MONGODB_URI"], sample, out }: InitOptions): Promise<number> {
  const mistake = usageMistake(mongodbUri, sample);
  if (mongodbUri === undefined || mistake !== null) return usage(mistake ?? "");
  return withDatabase({ uri: mongodbUri, database }, async (db) => {
    const collections = await sampleCollections(db, sample);
    if (collections.length === 0) return usage(`The database ${JSON.stringify(database)} has no collections.`);
    if (!(await writeNew(out, configText(database, collections)))) return usage(`${out} exists; give --out FILE.`);
    process.stdout.write(report(out, collections));
    return EXIT_DONE;
  });
}

function usageMistake(uri: string | undefined, sample: number): string | null {
  if (uri === undefined || uri === "") return "Say where MongoDB is: set MONGODB_URI, or give --mongodb-uri URI.";
  return Number.isInteger(sample) && sample > 0 ? null : "--sample takes a whole number of documents, 1 or more.";
}

function usage(mistake: string): number {
  process.stderr.write(`error: ${mistake}\n`);
  return EXIT_USAGE;
}

/** False where the file exists. */
async function writeNew(file: string, text: string): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  }
}

function report(file: string, collections: readonly SampledCollection[]): string {
  const lines = collections.map(
    ({ name, columns }) =>
      `  ${name} (${columns.length === 0 ? "one jsonb column" : `typed columns: ${columns.length}`})`,
  );
  return `Wrote ${file}:\n${lines.join("\n")}\nNext: look it over, set the four addresses in the environment, and run headrace check.\n`;
}
