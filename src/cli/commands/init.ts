import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import type { Db } from "mongodb";
import { stringify } from "yaml";
import { proposeColumns } from "../../operations/propose-columns.ts";
import type { Proposal } from "../../operations/propose-columns.ts";
import { connectMongo } from "../../producers/mongodb/client.ts";
import { findCollections } from "../../producers/mongodb/collections.ts";
import { mongoError } from "../../producers/mongodb/errors.ts";
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
  const client = await connectMongo({ uri: mongodbUri, database });
  try {
    const collections = await sampleCollections(client.db(database), sample);
    if (collections.length === 0) return usage(`The database ${JSON.stringify(database)} has no collections.`);
    if (!(await writeNew(out, configText(database, collections)))) return usage(`${out} exists; give --out FILE.`);
    process.stdout.write(report(out, collections));
    return EXIT_DONE;
  } finally {
    await client.close();
  }
}

function usageMistake(uri: string | undefined, sample: number): string | null {
  if (uri === undefined || uri === "") return "Say where MongoDB is: set MONGODB_URI, or give --mongodb-uri URI.";
  return Number.isInteger(sample) && sample > 0 ? null : "--sample takes a whole number of documents, 1 or more.";
}

function usage(mistake: string): number {
  process.stderr.write(`error: ${mistake}\n`);
  return EXIT_USAGE;
}

interface SampledCollection extends Proposal {
  readonly name: string;
  readonly sampled: number;
}

async function sampleCollections(db: Db, size: number): Promise<readonly SampledCollection[]> {
  const { names } = await findCollections(db, null);
  const sampled: SampledCollection[] = [];
  for (const name of names) {
    try {
      const documents = await db
        .collection(name, { promoteValues: false })
        .aggregate([{ $sample: { size } }])
        .toArray();
      sampled.push({ name, sampled: documents.length, ...proposeColumns(documents) });
    } catch (error) {
      throw mongoError(error, `looking at the collection ${JSON.stringify(name)}`);
    }
  }
  return sampled;
}

/** Addresses stay in the environment, so that no secret gets into the file. */
function configText(database: string, collections: readonly SampledCollection[]): string {
  const name = database.replaceAll(/[^A-Za-z0-9_-]/g, "_");
  return `# Written by headrace init from a sample of the documents. Look it over, then: headrace check && headrace run
# Every setting is described in docs/configuration.md.
${stringify({ name })}mongodb: { uri: "\${MONGODB_URI}", database: ${JSON.stringify(database)} }
kafka: { brokers: "\${KAFKA_BROKERS}", partitions: 4, replicationFactor: 1 } # replicationFactor: 3 in production
schemaRegistry: { url: "\${SCHEMA_REGISTRY_URL}" }
postgres: { url: "\${POSTGRES_URL}", schema: public }

# What is no column, or does not fit its column, is kept in the column _extra. A collection with {} is kept as one
# jsonb column, doc.
collections:
${collections.map(collectionText).join("")}`;
}

function collectionText({ name, sampled, columns, leftOut }: SampledCollection): string {
  const comment = [
    `documents looked at: ${sampled}`,
    ...(leftOut.length > 0 ? [`in _extra: ${leftOut.join(", ")}`] : []),
  ];
  const mapping = Object.fromEntries(
    columns.map((column) => [
      column.name,
      column.path.length === 1 ? column.type : { path: column.path.join("."), type: column.type },
    ]),
  );
  const value = columns.length === 0 ? {} : { columns: mapping };
  const lines = [
    ...comment.map((line) => `# ${line.replaceAll(/\s/g, " ")}`),
    ...stringify({ [name]: value })
      .trimEnd()
      .split("\n"),
  ];
  return lines.map((line) => `  ${line}\n`).join("");
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
