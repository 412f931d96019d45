import type { Db } from "mongodb";
import type { Config } from "../config/config-schema.ts";
import { selectionOf } from "../config/replication.ts";
import { HeadraceError } from "../errors/error.ts";
import { listTopics } from "../kafka/topics.ts";
import { clusterTimes, connectMongo } from "../producers/mongodb/client.ts";
import type { MongoOptions } from "../producers/mongodb/client.ts";
import { findCollections, requireFit } from "../producers/mongodb/collections.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Version } from "../schemas/change-event.ts";
import { claimNames } from "../schemas/collection-names.ts";
import { isSelected } from "../schemas/collection-selection.ts";
import { collectionOf } from "../schemas/topics.ts";
import { kafkaClient } from "./connections.ts";
import type { Context } from "./context.ts";

/**
 * Connects to the source database, and closes the connection after `use`.
 * @throws HeadraceError as `connectMongo` does
 */
export async function withDatabase<T>({ uri, database }: MongoOptions, use: (db: Db) => Promise<T>): Promise<T> {
  const client = await connectMongo({ uri, database });
  try {
    return await use(client.db(database));
  } finally {
    await client.close();
  }
}

/** The time of the cluster's newest write. */
export async function latestTime(db: Db): Promise<Version> {
  return (await clusterTimes(db)).latest;
}

/**
 * The collections that the pipeline replicates. If it replicates also those that the config does not name, this includes
 * dropped ones that still have a topic.
 * @throws HeadraceError COLLECTION_UNFIT, or what reading gives
 */
export async function replicatedCollections({ config, logger }: Context, db: Db): Promise<readonly string[]> {
  const { name, mongodb } = config;
  const selection = selectionOf(config);
  const withTopic = selection.others === null ? [] : await collectionsWithTopic(config, logger);
  const published = withTopic.filter((collection) => isSelected(collection, selection));
  const claimName = claimNames(name, mongodb.database, [...selection.named, ...withTopic]);
  const found = await findCollections(db, selection, claimName);
  requireFit(found, selection);
  const { names, leftOut } = found;
  return [...new Set([...names, ...published.filter((collection) => !leftOut.has(collection))])].toSorted();
}

/** The collections of the database that have a topic. */
export async function collectionsWithTopic(config: Config, logger: Logger): Promise<readonly string[]> {
  const topics = await listTopics(await kafkaClient(config, logger), () => true);
  return topics.flatMap((topic) => collectionOf(config.name, config.mongodb.database, topic) ?? []);
}

/** @throws HeadraceError COLLECTION_NOT_REPLICATED */
export async function requireReplicated(context: Context, db: Db, collection: string): Promise<void> {
  if (!(await replicatedCollections(context, db)).includes(collection)) throw notReplicated(collection);
}

/** The error for a collection name that the pipeline does not replicate. */
export function notReplicated(collection: string): HeadraceError {
  return new HeadraceError("COLLECTION_NOT_REPLICATED", {
    message: `The pipeline does not replicate a collection ${JSON.stringify(collection)}.`,
  });
}
