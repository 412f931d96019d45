import { rm, writeFile } from "node:fs/promises";
import { Command, Option } from "commander";
import { addressComplaint } from "../../config/addresses.ts";
import { configText, pipelineName } from "../../operations/propose/config-text.ts";
import { ARRAY_STYLES } from "../../operations/propose/find-columns.ts";
import { NAME_STYLES } from "../../operations/propose/names.ts";
import { proposeCollections } from "../../operations/propose/propose-tables.ts";
import type { ProposedCollection } from "../../operations/propose/propose-tables.ts";
import { SAMPLE_LIMITS, sampleDatabase } from "../../operations/sample-database.ts";
import { withDatabase } from "../../operations/source-database.ts";
import { EXIT_DONE, EXIT_USAGE, runToExitCode } from "../../runtime/lifecycle.ts";
import { printFatal } from "../command-context.ts";
import { configFileOf, configOption } from "../config-option.ts";
import { exit } from "../exit.ts";
import { type InitOptions, updateConfig } from "./init-update.ts";

const DEFAULT_FILE = "headrace.yaml";
/** The config that is written takes the addresses from these. */
const VARIABLES = ["MONGODB_URI", "KAFKA_BROKERS", "SCHEMA_REGISTRY_URL", "POSTGRES_URL"];

export function initCommand(): Command {
  const command = new Command("init")
    .description(
      "Write a config for a database, with typed columns that fit a sample of its documents. With --update, add to a config what the documents have had since.",
    )
    .option("-d, --database <name>", "the database to replicate (with --update: that of the config)")
    .option("--mongodb-uri <uri>", "connection string (default: the environment variable MONGODB_URI)")
    .option("--sample <documents>", "how many documents of each collection to read", Number, SAMPLE_LIMITS.documents)
    .option(
      "-o, --out <file>",
      `the config file to write; without --update it must not exist (default: "${DEFAULT_FILE}")`,
    )
    .addOption(configOption())
    .addOption(
      new Option(
        "--names <style>",
        "snake: names of tables and columns that need no quotes in SQL; keep: the names in MongoDB (default: snake; with --update: as the config has them)",
      ).choices(NAME_STYLES),
    )
    .addOption(
      new Option("--arrays <style>", "arrays of documents: as child tables, or each as one jsonb column")
        .choices(ARRAY_STYLES)
        .default("children"),
    )
    .option("--update", "show what an existing config lacks, and add it; nothing in the file is changed or removed")
    .option("--yes", "with --update: do not ask for confirmation");
  return command.action(async () => {
    const options = command.opts<InitOptions>();
    const file = options.out ?? configFileOf(command);
    const exitCode = await runToExitCode(
      (signal) => (options.update === true ? updateConfig(file, options, signal) : init(file, options, signal)),
      { onFatal: printFatal },
    );
    await exit(exitCode);
  });
}

async function init(file: string, options: InitOptions, signal: AbortSignal): Promise<number> {
  const { database, mongodbUri = process.env["MONGODB_URI"], sample, names = "snake", arrays } = options;
  const mistake = usageMistake(mongodbUri, options);
  if (mongodbUri === undefined || database === undefined || mistake !== null) return usage(mistake ?? "");
  const complaint = await fileComplaint(file);
  if (complaint !== null) return usage(complaint);
  return withDatabase({ uri: mongodbUri, database }, async (db) => {
    const limits = { ...SAMPLE_LIMITS, documents: sample };
    const pipeline = pipelineName(database);
    const sampled = await sampleDatabase(db, { pipeline, established: [], limits, signal });
    if (sampled.collections.length === 0) {
      const reasons = [...sampled.leftOut].map(([name, why]) => ` ${JSON.stringify(name)}: ${why}.`);
      return usage(`The database ${JSON.stringify(database)} has no collections to replicate.${reasons.join("")}`);
    }
    const collections = proposeCollections(sampled.collections, { names, arrays });
    const written = await writeComplaint(file, configText({ database, collections, leftOut: sampled.leftOut }));
    if (written !== null) return usage(written);
    process.stdout.write(report(file, collections));
    return EXIT_DONE;
  });
}

function usageMistake(uri: string | undefined, { database, sample }: InitOptions): string | null {
  if (database === undefined) return "Give the database with --database NAME.";
  if (uri === undefined || uri === "") return "Set the environment variable MONGODB_URI, or give --mongodb-uri URI.";
  const complaint = /^mongodb(\+srv)?:\/\//.test(uri) ? addressComplaint(uri) : "does not begin with mongodb://";
  if (complaint !== null) return `MongoDB's address ${complaint}.`;
  return Number.isInteger(sample) && sample > 0 ? null : "--sample takes a whole number of documents, 1 or more.";
}

function usage(mistake: string): number {
  process.stderr.write(`error: ${mistake}\n`);
  return EXIT_USAGE;
}

/** Why a new file cannot be written, asked before the documents are read; null if it can. */
async function fileComplaint(file: string): Promise<string | null> {
  // Makes the file and removes it: only that shows everything that may be wrong.
  const complaint = await writeComplaint(file, "");
  if (complaint === null) await rm(file);
  return complaint;
}

/** Writes a new file. @returns why that is not possible; null if it is done */
async function writeComplaint(file: string, text: string): Promise<string | null> {
  try {
    await writeFile(file, text, { flag: "wx" });
    return null;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      return `${file} already exists. Add to it with --update, or write to another file with --out FILE.`;
    }
    const reason = code === "ENOENT" ? "its folder does not exist" : code;
    return `${file} cannot be written: ${reason}. Write to another file with --out FILE.`;
  }
}

function report(file: string, collections: readonly ProposedCollection[]): string {
  const lines = collections.map((collection) => `  ${collection.name} (${contentText(collection)})`);
  const check = file === DEFAULT_FILE ? "npx headrace check" : `npx headrace check -c ${file}`;
  const unset = VARIABLES.filter((name) => (process.env[name] ?? "") === "");
  return `Wrote ${file}:
${lines.join("\n")}
Next: read the file${unset.length === 0 ? "" : `, set ${unset.join(", ")} in the environment`}, and run
${check}
`;
}

function contentText({ columns, children }: ProposedCollection): string {
  if (columns.length === 0 && children.length === 0) return "one jsonb column";
  const tables = children.length === 0 ? "" : `; child tables: ${children.map(({ name }) => name).join(", ")}`;
  return `typed columns: ${columns.length}${tables}`;
}
