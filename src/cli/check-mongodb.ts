import type { Db } from "mongodb";
import type { Config } from "../config/config-schema.ts";
import { connectMongo } from "../producers/mongo-client.ts";
import { findCollections } from "../producers/mongo-collections.ts";
import { mongoError } from "../producers/mongo-errors.ts";
import { look } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";

/** Looks whether the source can be replicated. Reads only. */
export async function checkMongodb(config: Config): Promise<MongodbChecks> {
  const { uri, database } = config.mongodb;
  let db: Db | undefined;
  const connected = await look("mongodb", "is a replica set of MongoDB 5.0 or later", async () => {
    const client = await connectMongo({ uri, database });
    db = client.db(database);
  });
  if (db === undefined) return { results: [connected], collections: null };
  try {
    const { results, collections } = await checkDatabase(db, config);
    return { results: [connected, ...results], collections };
  } finally {
    await db.client.close();
  }
}

export interface MongodbChecks {
  readonly results: readonly CheckResult[];
  /** The collections to replicate; null where they could not be found out. */
  readonly collections: readonly string[] | null;
}

async function checkDatabase(db: Db, { collections }: Config): Promise<MongodbChecks> {
  let names: readonly string[] | null = null;
  const found = await look("mongodb", "has the collections, of kinds that can be replicated", async () => {
    ({ names } = await findCollections(db, collections === undefined ? null : Object.keys(collections)));
  });
  const results = [
    found,
    await look("mongodb", "lets the user read the collections", () => checkFind(db, names ?? [])),
    await look("mongodb", "lets the user open a change stream on the database", () => checkChangeStream(db)),
  ];
  return { results, collections: names };
}

async function checkFind(db: Db, names: readonly string[]): Promise<void> {
  for (const find of names) {
    const command = { find, limit: 1, projection: { _id: 1 }, readConcern: { level: "snapshot" } };
    await run(db, command, `reading the collection ${JSON.stringify(find)}`);
  }
}

async function checkChangeStream(db: Db): Promise<void> {
  const command = { aggregate: 1, pipeline: [{ $changeStream: {} }], cursor: { batchSize: 0 } };
  const { cursor } = await run(db, command, "opening a change stream");
  await run(db, { killCursors: "$cmd.aggregate", cursors: [cursor.id] }, "closing the change stream");
}

async function run(db: Db, command: object, doing: string): Promise<{ cursor: { id: unknown } }> {
  try {
    return (await db.command(command, { promoteLongs: false })) as { cursor: { id: unknown } };
  } catch (error) {
    throw mongoError(error, doing);
  }
}
