import type { Db } from "mongodb";
import { HeadraceError } from "../errors/error.ts";
import { listTopics } from "../kafka/admin.ts";
import { connectMongo } from "../producers/mongodb/client.ts";
import type { MongoOptions } from "../producers/mongodb/client.ts";
import { findCollections } from "../producers/mongodb/collections.ts";
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

/**
 * The collections that the pipeline replicates. If it replicates a whole database, this includes dropped collections
 * that still have a topic.
 * @throws HeadraceError UNKNOWN_COLLECTION, COLLECTION_CAPPED, COLLECTION_UNFIT, or what reading gives
 */
export async function replicatedCollections({ config, logger }: Context, db: Db): Promise<readonly string[]> {
  const { name, mongodb, collections } = config;
  const wanted = collections === undefined ? null : Object.keys(collections);
  const { names } = await findCollections(db, wanted, () => true);
  if (wanted !== null) return names;
  const topics = await listTopics(await kafkaClient(config, logger), () => true);
  const published = topics.flatMap((topic) => collectionOf(name, mongodb.database, topic) ?? []);
  return [...new Set([...names, ...published])].toSorted();
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
