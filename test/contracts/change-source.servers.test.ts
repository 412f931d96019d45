import { describe } from "vitest";
import { MongoSource } from "../../src/producers/mongodb/source.ts";
import {
  clusterTimeOf,
  contentOf,
  extendedJsonOf,
  signalsOf,
  silentLogger,
} from "../producers/mongodb/source-collector.ts";
import { ModelWriter } from "../support/model-writer.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import { freshMongoDatabase } from "../support/servers.ts";
import { changeSourceContract } from "./change-source.ts";
import type { SourceUnderTest } from "./change-source.ts";

const COLLECTIONS = ["one", "two", "three"];

describe("MongoSource", () => changeSourceContract(() => setUpMongoSource([])));
describe("MongoSource with filters", () => changeSourceContract(() => setUpMongoSource(["one", "three"])));

const EVEN = { n: { $mod: [2, 0] } };

/** @param filtered collections of which only documents with an even `n` are replicated */
async function setUpMongoSource(filtered: readonly string[]): Promise<SourceUnderTest> {
  const filterOf = (collection: string) => (filtered.includes(collection) ? EVEN : null);
  const { client, db } = await freshMongoDatabase();
  for (const name of COLLECTIONS) await db.createCollection(name);
  const random = seededRandom(printedSeed());
  // Two writers in parallel: each knows the history of its own collections.
  const writers = [["one", "two"], ["three"]].map((collections) => ({
    collections,
    writer: new ModelWriter({ client, db, random, collections, keys: 40 }),
  }));
  return {
    createSource: (until) =>
      new MongoSource(db, {
        collections: { named: COLLECTIONS, others: null },
        filterOf,
        claimName: () => null,
        snapshotMode: "initial",
        chunkDocuments: 7,
        onDrop: "apply",
        onHistoryLost: "fail",
        observer: {},
        until,
        logger: silentLogger,
        signals: signalsOf([]),
      }),
    write: async (count) => {
      const half = async (writer: ModelWriter): Promise<void> => {
        for (let i = 0; i < count / 2; i++) await writer.step();
      };
      await Promise.all(writers.map(({ writer }) => half(writer)));
    },
    now: () => clusterTimeOf(db),
    documents: () => contentOf(db, COLLECTIONS, filterOf),
    documentAt: (key, version) => {
      const [collection = "", text = ""] = key.split("/");
      const _id = JSON.parse(text) as string;
      const owner = writers.find(({ collections }) => collections.includes(collection));
      const fields = owner?.writer.history.fieldsAt(collection, _id, version) ?? null;
      const isThere = fields !== null && (!filtered.includes(collection) || Number(fields["n"]) % 2 === 0);
      return isThere ? extendedJsonOf({ _id, ...fields }) : undefined;
    },
  };
}
