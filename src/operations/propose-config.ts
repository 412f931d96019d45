import type { Db } from "mongodb";
import { stringify } from "yaml";
import { findCollections } from "../producers/mongodb/collections.ts";
import { mongoError } from "../producers/mongodb/errors.ts";
import { claimNames } from "../schemas/collection-names.ts";
import { WHOLE_DATABASE } from "../schemas/collection-selection.ts";
import { proposeColumns } from "./propose-columns.ts";
import type { Proposal } from "./propose-columns.ts";

/** A collection with the columns that a sample of its documents suggests. */
export interface SampledCollection extends Proposal {
  readonly name: string;
  /** How many documents were sampled. */
  readonly sampled: number;
}

export interface SampledDatabase {
  readonly collections: readonly SampledCollection[];
  /** The collections that cannot be replicated, with the reason. */
  readonly leftOut: ReadonlyMap<string, string>;
}

/**
 * Samples every collection of a database that can be replicated.
 * @param size the most documents to sample of each collection
 * @throws HeadraceError
 */
export async function sampleCollections(db: Db, size: number): Promise<SampledDatabase> {
  const { databaseName } = db;
  const { names, leftOut } = await findCollections(
    db,
    WHOLE_DATABASE,
    claimNames(pipelineName(databaseName), databaseName, []),
  );
  const sampled: SampledCollection[] = [];
  for (const name of names) {
    try {
      const documents = await db
        .collection(name, { promoteValues: false })
        .aggregate([{ $sample: { size } }])
        .toArray();
      sampled.push({ name, sampled: documents.length, ...proposeColumns(documents) });
    } catch (error) {
      throw mongoError(error, `sampling the collection ${JSON.stringify(name)}`);
    }
  }
  return { collections: sampled, leftOut };
}

function pipelineName(database: string): string {
  return database.replaceAll(/[^A-Za-z0-9_-]/g, "_");
}

/**
 * The YAML text of a config for the collections. It takes the addresses from environment variables, so that no secret
 * gets into the file.
 */
export function configText(database: string, { collections, leftOut }: SampledDatabase): string {
  const name = pipelineName(database);
  return `# headrace init wrote this file from a sample of the documents. Read it, then run: npx headrace check
# docs/configuration.md describes every setting.
${stringify({ name })}mongodb: { uri: "\${MONGODB_URI}", database: ${JSON.stringify(database)} }
kafka: { brokers: "\${KAFKA_BROKERS}", partitions: 4, replicationFactor: 1 } # replicationFactor: 3 in production
schemaRegistry: { url: "\${SCHEMA_REGISTRY_URL}" }
postgres: { url: "\${POSTGRES_URL}", schema: public }

# Fields without a column, and values that do not fit their column, go to the column _extra. A collection with {} gets
# one jsonb column, doc, with the whole document.
collections:
${collections.map(collectionText).join("")}${leftOutText(leftOut)}`;
}

function leftOutText(leftOut: ReadonlyMap<string, string>): string {
  const lines = [...leftOut].map(([name, why]) => `  # left out: ${JSON.stringify(name)}: ${why}\n`);
  return lines.join("");
}

function collectionText({ name, sampled, columns, leftOut }: SampledCollection): string {
  const comment = [
    `sampled documents: ${sampled}`,
    ...(leftOut.length > 0 && columns.length > 0 ? [`in _extra: ${leftOut.join(", ")}`] : []),
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
