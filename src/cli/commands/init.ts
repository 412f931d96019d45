import { rm, writeFile } from "node:fs/promises";
import { Command } from "commander";
import { addressComplaint } from "../../config/addresses.ts";
import { configText, sampleCollections } from "../../operations/propose-config.ts";
import type { SampledCollection } from "../../operations/propose-config.ts";
import { withDatabase } from "../../operations/source-database.ts";
import { EXIT_DONE, EXIT_USAGE, runToExitCode } from "../../runtime/lifecycle.ts";
import { printFatal } from "../command-context.ts";
import { exit } from "../exit.ts";

interface InitOptions {
  readonly database: string;
  readonly mongodbUri?: string;
  readonly sample: number;
  readonly out: string;
}

const DEFAULT_FILE = "headrace.yaml";
/** The config that is written takes the addresses from these. */
const VARIABLES = ["MONGODB_URI", "KAFKA_BROKERS", "SCHEMA_REGISTRY_URL", "POSTGRES_URL"];

export function initCommand(): Command {
  const command = new Command("init")
    .description("Write a config for a database, with typed columns that fit a sample of its documents.")
    .requiredOption("-d, --database <name>", "the database to replicate")
    .option("--mongodb-uri <uri>", "connection string (default: the environment variable MONGODB_URI)")
    .option("--sample <documents>", "how many documents of each collection to read", Number, 1_000)
    .option("-o, --out <file>", "the config file to write; an existing file is never overwritten", DEFAULT_FILE);
  return command.action(async () => {
    const exitCode = await runToExitCode(() => init(command.opts<InitOptions>()), { onFatal: printFatal });
    await exit(exitCode);
  });
}

async function init({ database, mongodbUri = process.env["MONGODB_URI"], sample, out }: InitOptions): Promise<number> {
  const mistake = usageMistake(mongodbUri, sample);
  if (mongodbUri === undefined || mistake !== null) return usage(mistake ?? "");
  const complaint = await fileComplaint(out);
  if (complaint !== null) return usage(complaint);
  return withDatabase({ uri: mongodbUri, database }, async (db) => {
    const sampled = await sampleCollections(db, sample);
    const { collections } = sampled;
    if (collections.length === 0) return usage(`The database ${JSON.stringify(database)} has no collections.`);
    await writeFile(out, configText(database, sampled), { flag: "wx" });
    process.stdout.write(report(out, collections));
    return EXIT_DONE;
  });
}

function usageMistake(uri: string | undefined, sample: number): string | null {
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
  try {
    // Makes the file and removes it: only that shows everything that may be wrong.
    await writeFile(file, "", { flag: "wx" });
    await rm(file);
    return null;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return `${file} already exists. Write to another file with --out FILE.`;
    const reason = code === "ENOENT" ? "its folder does not exist" : code;
    return `${file} cannot be written: ${reason}. Write to another file with --out FILE.`;
  }
}

function report(file: string, collections: readonly SampledCollection[]): string {
  const lines = collections.map(
    ({ name, columns }) =>
      `  ${name} (${columns.length === 0 ? "one jsonb column" : `typed columns: ${columns.length}`})`,
  );
  const check = file === DEFAULT_FILE ? "npx headrace check" : `npx headrace check -c ${file}`;
  const unset = VARIABLES.filter((name) => (process.env[name] ?? "") === "");
  return `Wrote ${file}:
${lines.join("\n")}
Next: read the file${unset.length === 0 ? "" : `, set ${unset.join(", ")} in the environment`}, and run
${check}
`;
}
