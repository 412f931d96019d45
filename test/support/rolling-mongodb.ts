// A mongod of a test's own whose oplog is small, so that it can really be rolled over.
import { randomBytes } from "node:crypto";
import { MongoClient } from "mongodb";
import type { Timestamp } from "mongodb";
import { afterAll, beforeAll } from "vitest";
import { cacheFolder } from "../../dev/cache.ts";
import { prepareMongodb } from "../../dev/stack-mongodb.ts";
import { Supervisor } from "../../dev/supervisor.ts";
import { versionOf } from "../../src/schemas/change-event.ts";
import type { Version } from "../../src/schemas/change-event.ts";

export interface RollingMongodb {
  readonly uri: string;
  readonly client: MongoClient;
  /** Writes a part of what the oplog holds, elsewhere. */
  fillOplog(): Promise<void>;
  /** Does so until the oplog no longer holds what is newer than what was written up to now. */
  rollOplog(): Promise<void>;
  /** The time of the oplog's first entry. */
  oplogStart(): Promise<Version>;
}

const SETTINGS = { oplogSizeMb: 8, syncSeconds: 1 };
/** The oplog was cut while it was being read. */
const CAPPED_POSITION_LOST = 136;

/** To be called at the top of a file. */
export function useRollingMongodb(): RollingMongodb {
  let uri: string;
  let client: MongoClient;
  let supervisor: Supervisor;
  beforeAll(async () => {
    supervisor = await Supervisor.start(() => {});
    const { signal } = new AbortController();
    const context = { supervisor, cache: cacheFolder(process.env), signal, report: () => {} };
    const start = await prepareMongodb(context.cache, signal, SETTINGS);
    ({ url: uri } = await start(context));
    client = await MongoClient.connect(uri);
  });
  afterAll(async () => {
    await client?.close();
    await supervisor?.stop();
  });
  const oplogStart = async (): Promise<Version> => {
    for (;;) {
      try {
        const first = client
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
    await client.db("filler").collection("filler").insertMany(documents);
  };
  return {
    get uri() {
      return uri;
    },
    get client() {
      return client;
    },
    oplogStart,
    fillOplog,
    async rollOplog() {
      const { operationTime: now } = (await client.db("admin").command({ ping: 1 })) as { operationTime: Timestamp };
      while ((await oplogStart()) <= versionOf(now.t, now.i)) await fillOplog();
      await client.db("filler").dropDatabase();
    },
  };
}
