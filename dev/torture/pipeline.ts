import { randomBytes } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logLevel } from "kafkajs";
import { MongoClient } from "mongodb";
import { Pool, escapeIdentifier } from "pg";
import { newKafka } from "../../src/kafka/client.ts";
import { createAuditedTables } from "../../test/support/audit-trail.ts";
import { startKafkaProxy } from "../../test/support/kafka-proxy.ts";
import { columnsOf, mappingOf, numberIn } from "../../test/support/model-tables.ts";
import { startMongoProxy } from "../../test/support/mongo-proxy.ts";
import { startProxy } from "../../test/support/tcp-proxy.ts";
import { dropPipeline } from "../drop-pipeline.ts";
import { HeadraceProcess, headrace } from "../headrace-process.ts";
import type { ServerUrls } from "../stack/server-urls.ts";
import type { Stack } from "../stack/types.ts";
import type { TortureContext } from "./fault.ts";
import type { Command } from "./fleet.ts";

/** With columns (`typed`) and without (`plain`), with many keys and with few (`hot`). */
export const collections = ["typed", "typed_hot", "plain", "plain_hot"] as const;

/** A pipeline whose processes reach the servers only through proxies. */
export interface TorturePipeline extends Omit<TortureContext, "fleet" | "writing">, AsyncDisposable {
  readonly name: string;
  /** Folder of the processes' logs. */
  readonly folder: string;
  readonly createProcess: (command: Command) => HeadraceProcess;
}

export async function makePipeline(stack: Stack): Promise<TorturePipeline> {
  const name = `torture_${randomBytes(4).toString("hex")}`;
  const folder = await mkdtemp(join(tmpdir(), "headrace-torture-"));
  const mongodb = await MongoClient.connect(stack.mongodbUri);
  const postgres = new Pool({
    connectionString: stack.postgresUrl,
    options: `-c search_path=${name}`,
    application_name: "torture",
  });
  // A restart of the server breaks idle connections. The next query opens a new one.
  postgres.on("error", () => {});
  await postgres.query(`CREATE SCHEMA ${escapeIdentifier(name)}`);
  await createAuditedTables(postgres, Object.fromEntries(collections.map((each) => [each, columnsOf(each)])));
  for (const each of collections) await mongodb.db(name).createCollection(each);

  const proxies = await startProxies(stack);
  const configFile = join(folder, "headrace.yaml");
  const postgresUrl = await createUser(postgres, name, stack.postgresUrl);
  const first = configOf(name, { ...stack, postgresUrl }, proxies);
  const configure: TortureContext["configure"] = async (change) => {
    await writeFile(configFile, JSON.stringify(change?.(first) ?? first), { mode: 0o600 });
  };
  await configure();
  let started = 0;
  return {
    name,
    folder,
    mongodb,
    postgres,
    postgresUser: name,
    proxies,
    restarts: stack.restarts,
    tables: collections.map((each) => ({ name: each, number: numberIn(each) })),
    run: (...args) => headrace([...args, "-c", configFile], process.env),
    configure,
    kafka: newKafka({ brokers: stack.kafkaBrokers.split(","), logLevel: logLevel.NOTHING }),
    createProcess: (command) =>
      new HeadraceProcess({
        args: [command, "-c", configFile],
        env: process.env,
        logFile: join(folder, `${String(started++).padStart(4, "0")}-${command}.log`),
      }),
    [Symbol.asyncDispose]: async () => {
      for (const proxy of Object.values(proxies)) await proxy.close();
      for (const each of [renamed(name), name])
        await dropPipeline({ name: each, stack, source: mongodb, target: postgres });
      const user = escapeIdentifier(name);
      await postgres.query(`REASSIGN OWNED BY ${user} TO CURRENT_USER; DROP ROLE ${user}`);
      await mongodb.close();
      await postgres.end();
    },
  };
}

/** Creates a user with the rights of the stack's user, whose connections faults can limit. Resolves to its URL. */
async function createUser(postgres: Pool, name: string, postgresUrl: string): Promise<string> {
  const password = randomBytes(16).toString("hex");
  const user = escapeIdentifier(name);
  await postgres.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password}';
    DO $$ BEGIN EXECUTE format('GRANT %I TO ${user}', current_user); END $$`);
  const url = new URL(postgresUrl);
  Object.assign(url, { username: name, password });
  return url.href;
}

async function startProxies(stack: Stack): Promise<TortureContext["proxies"]> {
  return {
    mongodbUri: await startMongoProxy(stack.mongodbUri),
    kafkaBrokers: await startKafkaProxy(stack.kafkaBrokers),
    schemaRegistryUrl: await proxyOf(stack.schemaRegistryUrl),
    postgresUrl: await proxyOf(stack.postgresUrl),
  };
}

function proxyOf(url: string): ReturnType<typeof startProxy> {
  const { hostname, port } = new URL(url);
  return startProxy({ targetHost: hostname, targetPort: Number(port) });
}

function throughProxy(url: string, { host, port }: { readonly host: string; readonly port: number }): URL {
  const changed = new URL(url);
  changed.host = `${host}:${port}`;
  return changed;
}

/** The other name of a pipeline that is renamed for a while. */
export const renamed = (name: string): string => `${name}_renamed`;

function configOf(name: string, stack: ServerUrls, proxies: TortureContext["proxies"]) {
  return {
    name,
    mongodb: { uri: proxies.mongodbUri.uri, database: name },
    kafka: { brokers: proxies.kafkaBrokers.brokers, sessionTimeoutMs: 6_000 },
    schemaRegistry: { url: throughProxy(stack.schemaRegistryUrl, proxies.schemaRegistryUrl).href },
    postgres: { url: throughProxy(stack.postgresUrl, proxies.postgresUrl).href, schema: name },
    deadLetters: { window: { max: 1_000_000, records: 1_000_000 } },
    snapshot: { chunkDocuments: 20 },
    log: { level: "debug" },
    collections: Object.fromEntries(collections.map((each) => [each, mappingOf(each)])),
  };
}
