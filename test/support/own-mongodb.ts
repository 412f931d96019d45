// A separate replica set for one test file, because the test would disturb others.
import { randomUUID } from "node:crypto";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { afterAll, beforeAll } from "vitest";
import { cacheFolder } from "../../dev/stack/local/cache.ts";
import { prepareMongodb } from "../../dev/stack/local/mongodb.ts";
import { Supervisor } from "../../dev/stack/local/supervisor.ts";
import type { MongodbSettings } from "../../dev/stack/server-settings.ts";
import type { StartedServer } from "../../dev/stack/types.ts";

export interface OwnMongodb {
  readonly uri: string;
  readonly client: MongoClient;
  /** Crashes the primary and starts it again with its data. Resolves when the replica set is complete. */
  restart(): Promise<void>;
  /** Copies the data of a replica set of one member. Resolves to a function that crashes it and restores the copy. */
  backUp(): Promise<() => Promise<void>>;
}

/** Call it at the top of a test file. */
export function useOwnMongodb(settings: Partial<MongodbSettings>): OwnMongodb {
  let started: StartedServer;
  let client: MongoClient;
  let supervisor: Supervisor;
  beforeAll(async () => {
    supervisor = await Supervisor.start(() => {});
    const { signal } = new AbortController();
    const context = { supervisor, cache: cacheFolder(process.env), signal, report: () => {} };
    const start = await prepareMongodb(context.cache, signal, settings);
    started = await start(context);
    client = await MongoClient.connect(started.url);
  });
  afterAll(async () => {
    await client?.close();
    await supervisor?.stop();
  });
  return {
    get uri() {
      return started.url;
    },
    get client() {
      return client;
    },
    restart: () => started.restart(),
    backUp: async () => {
      const { port } = new URL(started.url);
      const data = join(supervisor.folder, `mongodb-${port}`, "data");
      const copy = join(supervisor.folder, `backup-${randomUUID()}`);
      const admin = client.db("admin");
      await admin.command({ fsync: 1, lock: true });
      try {
        await cp(data, copy, { recursive: true });
      } finally {
        await admin.command({ fsyncUnlock: 1 });
      }
      return () =>
        started.restart(async () => {
          await rm(data, { recursive: true });
          await cp(copy, data, { recursive: true });
        });
    },
  };
}
