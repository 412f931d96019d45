// A pipeline of its own for a test: a config file, a source database, a target schema, and the commands as processes.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Db, MongoClient } from "mongodb";
import type { Pool } from "pg";
import { afterAll, afterEach } from "vitest";
import { HeadraceProcess, headrace, type CommandResult } from "../../dev/headrace-process.ts";
import { freshMongoDatabase, freshPostgresSchema, servers, uniqueName } from "./servers.ts";

/** The broker's least session timeout: a killed consumer's partitions are free again after this. */
const sessionTimeoutMs = 6_000;

export interface Pipeline {
  readonly name: string;
  readonly client: MongoClient;
  readonly db: Db;
  readonly pool: Pool;
  readonly schema: string;
  readonly configFile: string;
  /** Starts `headrace …` in the background; it is ended after the test. */
  start(...args: string[]): HeadraceProcess;
  /** Runs `headrace …` to its end. */
  run(...args: string[]): Promise<CommandResult>;
}

const running = new Set<HeadraceProcess>();
const folders: string[] = [];

afterEach(async () => {
  await Promise.all([...running].map((each) => each.kill()));
  running.clear();
});

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

/**
 * @param config is merged over the addresses and the name, section by section.
 */
export async function freshPipeline(config: Record<string, Record<string, unknown>> = {}): Promise<Pipeline> {
  const name = uniqueName("pipeline");
  const source = await freshMongoDatabase();
  const target = await freshPostgresSchema();
  const { kafkaBrokers, schemaRegistryUrl } = servers();
  const folder = await mkdtemp(join(tmpdir(), "headrace-test-"));
  folders.push(folder);
  const sections: Record<string, Record<string, unknown>> = {
    mongodb: { uri: source.uri, database: source.name },
    kafka: { brokers: kafkaBrokers, sessionTimeoutMs },
    schemaRegistry: { url: schemaRegistryUrl },
    postgres: { url: target.url, schema: target.schema },
  };
  const merged: Record<string, unknown> = { name };
  for (const section of new Set([...Object.keys(sections), ...Object.keys(config)]))
    merged[section] = { ...sections[section], ...config[section] };
  const configFile = join(folder, "headrace.yaml");
  await writeFile(configFile, JSON.stringify(merged));
  let started = 0;
  return {
    name,
    client: source.client,
    db: source.db,
    pool: target.pool,
    schema: target.schema,
    configFile,
    start: (...args) => {
      const logFile = join(folder, `${args[0]}-${started++}.log`);
      const process_ = new HeadraceProcess({ args: [...args, "-c", configFile], env: process.env, logFile });
      process_.start();
      running.add(process_);
      return process_;
    },
    run: (...args) => headrace([...args, "-c", configFile], process.env),
  };
}
