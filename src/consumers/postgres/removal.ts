import type { TableName } from "../ports.ts";
import { BEGIN } from "./client.ts";
import type { PostgresClient, Query } from "./client.ts";
import { internalTablesOf } from "./internal-tables.ts";
import type { InternalTableName } from "./internal-tables.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

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
      ...dropped.map((table) => ({ text: `DROP TABLE IF EXISTS ${quoteTable(table)}` })),
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
