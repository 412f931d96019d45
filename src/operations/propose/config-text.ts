import { bounded } from "./comments.ts";
import type { ProposedCollection } from "./propose-tables.ts";
import { collectionLines, linesText, scalarText, valueText } from "./yaml-text.ts";

/** What a new config is made of. */
export interface ProposedDatabase {
  readonly database: string;
  readonly collections: readonly ProposedCollection[];
  /** The collections that cannot be replicated, with the reason. */
  readonly leftOut: ReadonlyMap<string, string>;
}

/** The pipeline's name for a database. */
export function pipelineName(database: string): string {
  return database.replaceAll(/[^A-Za-z0-9_-]/g, "_");
}

/**
 * The YAML text of a config for the collections. It takes the addresses from environment variables, so that no secret
 * gets into the file.
 */
export function configText({ database, collections, leftOut }: ProposedDatabase): string {
  return `# headrace init wrote this file from a sample of the documents. Read it, then run: npx headrace check
# docs/configuration.md describes every setting.
name: ${scalarText(pipelineName(database))}
mongodb: { uri: "\${MONGODB_URI}", database: ${valueText(database)} }
kafka: { brokers: "\${KAFKA_BROKERS}", partitions: 4, replicationFactor: 1 } # replicationFactor: 3 in production
schemaRegistry: { url: "\${SCHEMA_REGISTRY_URL}" }
postgres: { url: "\${POSTGRES_URL}", schema: public }

# Fields without a column, and values that do not fit their column, go to the column _extra. A collection with {} gets
# one jsonb column, doc, with the whole document. Behind a column stand the share of the sampled documents that have a
# value for it, and the BSON types of the values. After the documents have changed, run: npx headrace init --update
collections:
${collections.map((collection) => linesText(collectionLines(collection), "  ")).join("")}${leftOutText(leftOut)}`;
}

function leftOutText(leftOut: ReadonlyMap<string, string>): string {
  const lines = [...leftOut].map(([name, why]) => `  # left out: ${bounded(`${JSON.stringify(name)}: ${why}`, 300)}\n`);
  return lines.join("");
}
