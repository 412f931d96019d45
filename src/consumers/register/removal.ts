import type { TableName } from "../ports.ts";
import type { PostgresClient } from "../postgres/client.ts";
import { internalTablesOf } from "../postgres/internal-tables.ts";
import type { InternalTableName } from "../postgres/internal-tables.ts";
import { BEGIN } from "../postgres/session.ts";
import type { Query } from "../postgres/session.ts";
import { parseTable, quoteIdentifier, quoteTable } from "../postgres/sql/upsert-sql.ts";

/** Finds and deletes what PostgreSQL has of collections. Every method throws a classified HeadraceError. */
export class PostgresRemoval {
  readonly #client: PostgresClient;
  readonly #schema: string;

  constructor(client: PostgresClient, internalSchema = "headrace") {
    this.#client = client;
    this.#schema = internalSchema;
  }

  /** The topics that have rows in Headrace's own tables. */
  async knownTopics(): Promise<readonly string[]> {
    const existing = await this.#existing(internalTablesOf("topic"));
    if (existing.length === 0) return [];
    const selects = existing.map((name) => `SELECT topic FROM ${this.#qualified(name)}`);
    const [found] = await this.#client.run({ text: selects.join(" UNION ") });
    return (found?.rows ?? []).map((row) => String(row["topic"]));
  }

  /**
   * The tables that belong to a pipeline, or to one of its collections, with those of children, also those that it no longer
   * fills. Version 0.1.0
   * kept no register: of the tables that the config gives, those count that Headrace has filled and that no other pipeline
   * owns.
   */
  async ownTables(
    { pipeline, collection }: { readonly pipeline: string; readonly collection: string | null },
    configured: readonly TableName[],
  ): Promise<readonly TableName[]> {
    const existing = await this.#existing(["tables", "columns"]);
    const registered = existing.includes("tables")
      ? `SELECT relation, pipeline, collection FROM ${this.#qualified("tables")}`
      : "SELECT NULL::text AS relation, NULL::text AS pipeline, NULL::text AS collection WHERE false";
    const filled = existing.includes("columns")
      ? `SELECT relation FROM ${this.#qualified("columns")} WHERE relation = ANY ($3)`
      : "SELECT NULL::text AS relation WHERE $3::text[] IS NULL";
    const [found] = await this.#client.run({
      text: `WITH registered AS (${registered}), filled AS (${filled})
SELECT relation FROM registered WHERE pipeline = $1 AND ($2::text IS NULL OR collection = $2)
UNION SELECT relation FROM filled WHERE relation NOT IN (SELECT relation FROM registered) ORDER BY relation`,
      values: [pipeline, collection, configured.map(quoteTable)],
    });
    const tables = (found?.rows ?? []).map((row) => parseTable(String(row["relation"])));
    return [...tables, ...(await this.#childrenOf(tables))];
  }

  async #childrenOf(tables: readonly TableName[]): Promise<readonly TableName[]> {
    if ((await this.#existing(["children"])).length === 0) return [];
    const [found] = await this.#client.run({
      text: `SELECT child FROM ${this.#qualified("children")} WHERE relation = ANY ($1) ORDER BY child`,
      values: [tables.map(quoteTable)],
    });
    return (found?.rows ?? []).map((row) => parseTable(String(row["child"])));
  }

  /** The tables that exist. */
  async existingTables(tables: readonly TableName[]): Promise<readonly TableName[]> {
    const values = [tables.map(quoteTable)];
    const [found] = await this.#client.run({
      text: "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL",
      values,
    });
    const names = new Set((found?.rows ?? []).map((row) => row["name"]));
    return tables.filter((table) => names.has(quoteTable(table)));
  }

  /** In one transaction. */
  async remove({ topics, tables, dropped }: RemovedCollections): Promise<void> {
    const byTopic = await this.#existing(internalTablesOf("topic"));
    const byRelation = await this.#existing(internalTablesOf("relation"));
    const relations = tables.map(quoteTable);
    const queries: Query[] = [
      ...byTopic.map((name) => ({
        text: `DELETE FROM ${this.#qualified(name)} WHERE topic = ANY ($1)`,
        values: [topics],
      })),
      ...byRelation.map((name) => ({
        text: `DELETE FROM ${this.#qualified(name)} WHERE relation = ANY ($1)`,
        values: [relations],
      })),
      // Together: those of the children may have foreign keys to the documents' tables.
      ...(dropped.length > 0 ? [{ text: `DROP TABLE IF EXISTS ${dropped.map(quoteTable).join(", ")}` }] : []),
    ];
    await this.#client.session(async (session) => {
      await session.run(BEGIN);
      await session.commit(...queries);
    });
  }

  /** A schema that an older version of Headrace created may lack some. */
  async #existing(names: readonly InternalTableName[]): Promise<readonly InternalTableName[]> {
    const [found] = await this.#client.run({
      text: "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename = ANY ($2)",
      values: [this.#schema, names],
    });
    const existing = new Set((found?.rows ?? []).map((row) => row["tablename"]));
    return names.filter((name) => existing.has(name));
  }

  #qualified(name: InternalTableName): string {
    return `${quoteIdentifier(this.#schema)}.${name}`;
  }
}

export interface RemovedCollections {
  readonly topics: readonly string[];
  /** Whose rows in Headrace's own tables are deleted. They need not exist. */
  readonly tables: readonly TableName[];
  /** What is dropped. */
  readonly dropped: readonly TableName[];
}
