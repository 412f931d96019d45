import type { TableName } from "../ports.ts";
import { BEGIN } from "./client.ts";
import type { PostgresClient, Query } from "./client.ts";
import { quoteIdentifier, quoteTable } from "./upsert-sql.ts";

const BY_TOPIC = ["progress", "dead_letters"] as const;
const BY_RELATION = ["tombstones", "truncates", "unapplied", "floors", "watermark", "columns"] as const;

/** What PostgreSQL keeps of collections, to remove it. Every method throws HeadraceError, classified. */
export class PostgresRemoval {
  readonly #client: PostgresClient;
  readonly #schema: string;

  constructor(client: PostgresClient, internalSchema = "headrace") {
    this.#client = client;
    this.#schema = internalSchema;
  }

  /** The topics of which something is known. */
  async knownTopics(): Promise<readonly string[]> {
    const existing = await this.#existing(BY_TOPIC);
    if (existing.length === 0) return [];
    const selects = existing.map((name) => `SELECT topic FROM ${this.#qualified(name)}`);
    const [found] = await this.#client.run({ text: selects.join(" UNION ") });
    return (found?.rows ?? []).map((row) => String(row["topic"]));
  }

  /** Those of the tables that exist. */
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
  async remove({ topics, tables, dropsTables }: RemovedCollections): Promise<void> {
    const byTopic = await this.#existing(BY_TOPIC);
    const byRelation = await this.#existing(BY_RELATION);
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
      ...(dropsTables ? relations.map((relation) => ({ text: `DROP TABLE IF EXISTS ${relation}` })) : []),
    ];
    await this.#client.session(async (session) => {
      await session.run(BEGIN);
      await session.commit(...queries);
    });
  }

  /** An older version's schema may lack some. */
  async #existing<T extends string>(names: readonly T[]): Promise<readonly T[]> {
    const [found] = await this.#client.run({
      text: "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename = ANY ($2)",
      values: [this.#schema, names],
    });
    const existing = new Set((found?.rows ?? []).map((row) => row["tablename"]));
    return names.filter((name) => existing.has(name));
  }

  #qualified(name: string): string {
    return `${quoteIdentifier(this.#schema)}.${name}`;
  }
}

export interface RemovedCollections {
  readonly topics: readonly string[];
  readonly tables: readonly TableName[];
  readonly dropsTables: boolean;
}
