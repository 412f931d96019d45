import { describe } from "vitest";
import { MongoSource } from "../../src/producers/mongo-source.ts";
import { ModelWriter, printedSeed, seededRandom } from "../support/model-writer.ts";
import { freshMongoDatabase } from "../support/servers.ts";
import { clusterTimeOf, contentOf, extendedJsonOf, silentLogger } from "../producers/source-collector.ts";
import { changeSourceContract } from "./change-source.ts";
import type { SourceUnderTest } from "./change-source.ts";

const COLLECTIONS = ["one", "two"];

describe("MongoSource", () => changeSourceContract(setUpMongoSource));

async function setUpMongoSource(): Promise<SourceUnderTest> {
  const { client, db } = await freshMongoDatabase();
  for (const name of COLLECTIONS) await db.createCollection(name);
  const random = seededRandom(printedSeed());
  const writer = new ModelWriter({ client, db, random, collections: COLLECTIONS, keys: 40 });
  return {
    createSource: (until) =>
      new MongoSource(db, {
        collections: COLLECTIONS,
        snapshotMode: "initial",
        chunkDocuments: 7,
        until,
        logger: silentLogger,
      }),
    write: async (count) => {
      for (let i = 0; i < count; i++) await writer.step();
    },
    now: () => clusterTimeOf(db),
    documents: () => contentOf(db, COLLECTIONS),
    documentAt: (key, version) => {
      const [collection = "", text = ""] = key.split("/");
      const _id = JSON.parse(text) as string;
      const fields = writer.fieldsAt(collection, _id, version);
      return fields === null ? undefined : extendedJsonOf({ _id, ...fields });
    },
  };
}
