import { MongoClient } from "mongodb";
import { MongoMemoryReplSet } from "mongodb-memory-server-core";
import { expect, onTestFinished, test } from "vitest";
import { cacheFolder } from "../../../dev/stack/local/cache.ts";
import { findMongod } from "../../../dev/stack/local/mongod.ts";
import { freshMongoDatabase } from "../../support/servers.ts";
import { catchUp, contentOf, documentChanges, finalState, lastPosition } from "./source-collector.ts";
import type { Item } from "./source-collector.ts";

// Any mongod works.
process.env["MONGOMS_SYSTEM_BINARY_VERSION_CHECK"] = "false";

/** A new replica set with one member. */
async function startReplicaSet(name: string): Promise<MongoClient> {
  const signal = AbortSignal.timeout(120_000);
  const provide = await findMongod(cacheFolder(process.env), signal);
  const systemBinary = await provide({ report: () => {}, signal } as unknown as Parameters<typeof provide>[0]);
  const replSet = { name, count: 1, ip: "127.0.0.1", storageEngine: "wiredTiger" } as const;
  const set = await MongoMemoryReplSet.create({ binary: { systemBinary }, replSet });
  onTestFinished(async () => {
    await set.stop();
  });
  const client = await MongoClient.connect(set.getUri());
  onTestFinished(() => client.close());
  return client;
}

test.each(["another", "the same"])(
  "a position is refused by a replica set with %s name and another id",
  async (which) => {
    const { db, client } = await freshMongoDatabase();
    await db.collection<Item>("items").insertOne({ _id: 1 });
    const begin = await catchUp(db, null);
    const { setName } = await client.db("admin").command({ hello: 1 });
    const other = await startReplicaSet(which === "the same" ? String(setName) : `not-${String(setName)}`);
    const copy = other.db(db.databaseName);
    await copy.collection<Item>("items").insertOne({ _id: 1 });
    const refused = { code: "POSITION_OF_OTHER_CLUSTER", kind: "fatal" };
    await expect(catchUp(copy, lastPosition(begin), { onHistoryLost: "resnapshot" })).rejects.toMatchObject(refused);
    // On its own replica set it resumes.
    await db.collection<Item>("items").insertOne({ _id: 2 });
    const changes = documentChanges([...begin, ...(await catchUp(db, lastPosition(begin)))]);
    expect(finalState(changes)).toEqual(await contentOf(db, ["items"]));
  },
);
