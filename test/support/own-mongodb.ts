// A separate replica set for one test file, because the test would disturb others.
import { MongoClient } from "mongodb";
import { afterAll, beforeAll } from "vitest";
import { cacheFolder } from "../../dev/stack/local/cache.ts";
import { prepareMongodb } from "../../dev/stack/local/mongodb.ts";
import { Supervisor } from "../../dev/stack/local/supervisor.ts";
import type { MongodbSettings } from "../../dev/stack/server-settings.ts";

export interface OwnMongodb {
  readonly uri: string;
  readonly client: MongoClient;
  /** Crashes the primary and starts it again with its data. Resolves when the replica set is complete. */
  restart(): Promise<void>;
}

/** Call it at the top of a test file. */
export function useOwnMongodb(settings: Partial<MongodbSettings>): OwnMongodb {
  let started: { readonly url: string; readonly restart: () => Promise<void> };
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
  };
}
