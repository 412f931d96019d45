import { selectionOf } from "../../config/replication.ts";
import type { PostgresClient } from "../../consumers/postgres/client.ts";
import { INTERNAL_SCHEMA } from "../../consumers/postgres/internal-tables.ts";
import { quoteTable } from "../../consumers/postgres/sql/upsert-sql.ts";
import type { WantedTable } from "../../consumers/register/facts.ts";
import { PostgresRegister } from "../../consumers/register/postgres-register.ts";
import { HeadraceError } from "../../errors/error.ts";
import { hasMembers } from "../../kafka/admin.ts";
import { requireSameDatabase } from "../../producers/kafka/mismatches.ts";
import { versionToMs } from "../../schemas/change-event.ts";
import type { Version } from "../../schemas/change-event.ts";
import { consumerGroup } from "../../schemas/topics.ts";
import { kafkaClient, postgresClient } from "../connections.ts";
import type { Context } from "../context.ts";
import { openPipelineReader } from "../pipeline-reader.ts";
import { latestTime, withDatabase } from "../source-database.ts";
import { foreignTables } from "./judged-tables.ts";
import type { ForeignTable } from "./judged-tables.ts";

/**
 * Finds the tables of the config that belong to another pipeline or source.
 * @param collection null: of all collections
 * @param use gets them, and a function that gives them to this pipeline
 * @throws HeadraceError POSITION_OF_OTHER_DATABASE or TABLE_OF_OTHER_SOURCE if one of them, or this pipeline, holds another
 * database; PIPELINE_RUNNING or MONGODB_CLOCK_BEHIND from that function; or what the servers give
 */
export async function withForeignTables<T>(
  context: Context,
  collection: string | null,
  use: (tables: readonly ForeignTable[], takeOver: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const { config, logger } = context;
  const collections = collection === null ? await collectionsOf(config) : [collection];
  const postgres = postgresClient(config);
  try {
    await requireOwnPosition(context, postgres);
    const tables = await foreignTables(config, collections, postgres);
    for (const { refusal } of tables) if (refusal !== null) throw refusal;
    return await use(tables, async () => {
      const kafka = await kafkaClient(config, logger);
      for (const owner of new Set([config.name, ...tables.map((table) => table.owner)])) {
        if (await hasMembers(kafka, consumerGroup(owner))) throw running(owner);
      }
      const register = new PostgresRegister(postgres, INTERNAL_SCHEMA, () => Promise.resolve());
      await requireOlderRows(register, tables, config.mongodb);
      await register.takeOver(tables.map(({ wanted }) => wanted));
    });
  } finally {
    await postgres.close();
  }
}

/** Otherwise the producer would refuse to fill the tables that were taken over. */
async function requireOwnPosition({ config, logger }: Context, postgres: PostgresClient): Promise<void> {
  const reader = await openPipelineReader(config, logger, postgres);
  try {
    const position = await reader.position();
    if (position !== null) requireSameDatabase(position, config.mongodb.database);
  } finally {
    await reader.close();
  }
}

async function collectionsOf(config: Context["config"]): Promise<readonly string[]> {
  const selection = selectionOf(config);
  if (selection.others === null) return selection.named;
  const { findCollections } = await import("../../producers/mongodb/collections.ts");
  return withDatabase(config.mongodb, async (db) => (await findCollections(db, selection, () => null)).names);
}

/** What the copy reads must count as newer than what is there. Another cluster's clock may be ahead of MongoDB's. */
async function requireOlderRows(
  register: PostgresRegister,
  tables: readonly ForeignTable[],
  mongodb: Context["config"]["mongodb"],
): Promise<void> {
  const now = await withDatabase(mongodb, latestTime);
  for (const { wanted, isThere } of tables) {
    const newest = await register.newestVersion(wanted, isThere);
    if (newest > now) throw clockBehind(wanted, newest, now);
  }
}

function clockBehind({ table }: WantedTable, newest: Version, now: Version): HeadraceError {
  const [rows, mongodb] = [newest, now].map((version) => new Date(versionToMs(version)).toISOString());
  return new HeadraceError("MONGODB_CLOCK_BEHIND", {
    message: `The newest row, living or deleted, of the table ${quoteTable(table)} is of ${rows}, but MongoDB's cluster time is ${mongodb}. What is copied now would count as older and change nothing.`,
    remedy:
      "Take the table over when MongoDB's time has passed that of the rows. Or, with the config of the pipeline that owns it, drop the table: headrace remove --collection NAME --tables. Then this pipeline needs no take-over.",
  });
}

function running(pipeline: string): HeadraceError {
  return new HeadraceError("PIPELINE_RUNNING", {
    message: `A consumer of the pipeline ${JSON.stringify(pipeline)} is still running.`,
  });
}
