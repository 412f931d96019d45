// A separate mongod with a small oplog, which a test can really roll over.
import { randomBytes } from "node:crypto";
import type { MongoClient, Timestamp } from "mongodb";
import { versionOf } from "../../src/schemas/change-event.ts";
import type { Version } from "../../src/schemas/change-event.ts";
import { useOwnMongodb } from "./own-mongodb.ts";

export interface RollingMongodb {
  readonly uri: string;
  readonly client: MongoClient;
  /** Fills a part of the oplog with writes to another database. */
  fillOplog(): Promise<void>;
  /** Fills the oplog until it has lost everything that was written up to now. */
  rollOplog(): Promise<void>;
  /** The time of the oplog's first entry. */
  oplogStart(): Promise<Version>;
}

const SETTINGS = { oplogSizeMb: 8, syncSeconds: 1 };
/** MongoDB truncated the oplog during the read. */
const CAPPED_POSITION_LOST = 136;

/** Call it at the top of a test file. */
export function useRollingMongodb(): RollingMongodb {
  const mongodb = useOwnMongodb(SETTINGS);
  const oplogStart = async (): Promise<Version> => {
    for (;;) {
      try {
        const first = mongodb.client
          .db("local")
          .collection<{ ts: Timestamp }>("oplog.rs")
          .find()
          .sort({ $natural: 1 })
          .limit(1);
        const { ts } = (await first.toArray())[0] ?? {};
        if (ts !== undefined) return versionOf(ts.t, ts.i);
      } catch (error) {
        if ((error as { code?: unknown }).code !== CAPPED_POSITION_LOST) throw error;
      }
    }
  };
  const fillOplog = async (): Promise<void> => {
    const documents = [1, 2].map(() => ({ bytes: randomBytes(1_000_000) }));
    await mongodb.client.db("filler").collection("filler").insertMany(documents);
  };
  return {
    get uri() {
      return mongodb.uri;
    },
    get client() {
      return mongodb.client;
    },
    oplogStart,
    fillOplog,
    async rollOplog() {
      const { operationTime: now } = (await mongodb.client.db("admin").command({ ping: 1 })) as {
        operationTime: Timestamp;
      };
      while ((await oplogStart()) <= versionOf(now.t, now.i)) await fillOplog();
      await mongodb.client.db("filler").dropDatabase();
    },
  };
}
