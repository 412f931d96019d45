// A new pipeline for a test: a config file, a source database, a target schema, and the commands as processes.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Db, MongoClient } from "mongodb";
import type { Pool } from "pg";
import { afterAll, afterEach } from "vitest";
import { HeadraceProcess, startCommand } from "../../dev/headrace-process.ts";
import type { CommandResult, RunningCommand } from "../../dev/headrace-process.ts";
import type { ServerUrls } from "../../dev/stack/server-urls.ts";
import { freshMongoDatabase, freshPostgresSchema, servers, uniqueName } from "./servers.ts";

/** Short, because the partitions of a killed consumer are free only after this. */
const sessionTimeoutMs = 6_000;

/** The commands of a pipeline, on one config file. */
export interface Commands {
  readonly configFile: string;
  /** Starts `headrace …` in the background. It is killed after the test. */
  start(...args: string[]): HeadraceProcess;
  /** Runs `headrace …` to its end. */
  run(...args: string[]): Promise<CommandResult>;
}

export interface Pipeline extends Commands {
  readonly name: string;
  readonly client: MongoClient;
  readonly db: Db;
  readonly pool: Pool;
  readonly schema: string;
  /** The same pipeline with other addresses of some servers, for example of proxies, and with other settings of Kafka. */
  through(urls: Partial<ServerUrls>, kafka?: Record<string, unknown>): Promise<Commands>;
  /** The same pipeline with another config: `config` is merged over the first one, section by section, `name` too. */
  reconfigured(config: Record<string, unknown>): Promise<Commands>;
}

const running = new Set<HeadraceProcess>();
const unfinished = new Set<RunningCommand>();
const folders: string[] = [];

afterEach(async () => {
  await Promise.all([...running].map((each) => each.kill()));
  running.clear();
});

/** A test that timed out does not tell what it waited for; the log of the command does. At the end: tests may run at once. */
function expectFinished(): void {
  const logs = [...unfinished].map((command) => `headrace ${command.args.join(" ")} did not end:\n${command.kill()}`);
  unfinished.clear();
  if (logs.length > 0) throw new Error(logs.join("\n"));
}

afterAll(async () => {
  expectFinished();
  for (const folder of folders) await rm(folder, { recursive: true });
});

/**
 * @param config merged with the addresses and the name, section by section
 */
export async function freshPipeline(config: Record<string, Record<string, unknown>> = {}): Promise<Pipeline> {
  const name = uniqueName("pipeline");
  const source = await freshMongoDatabase();
  const target = await freshPostgresSchema();
  const folder = await mkdtemp(join(tmpdir(), "headrace-test-"));
  folders.push(folder);
  let files = 0;
  const commands = async (urls: Partial<ServerUrls>, changed: Record<string, unknown>): Promise<Commands> => {
    const { mongodbUri, kafkaBrokers, schemaRegistryUrl, postgresUrl } = { ...servers(), ...urls };
    const sections: Record<string, Record<string, unknown>> = {
      mongodb: { uri: mongodbUri, database: source.name },
      kafka: { brokers: kafkaBrokers, sessionTimeoutMs },
      schemaRegistry: { url: schemaRegistryUrl },
      postgres: { url: postgresUrl, schema: target.schema },
    };
    const merged: Record<string, unknown> = { name };
    for (const section of new Set([...Object.keys(sections), ...Object.keys(config)]))
      merged[section] = { ...sections[section], ...config[section] };
    for (const [section, value] of Object.entries(changed))
      merged[section] = isSection(value) && section in sections ? { ...(merged[section] as object), ...value } : value;
    const configFile = join(folder, `headrace-${files++}.yaml`);
    await writeFile(configFile, JSON.stringify(merged));
    return commandsOf(configFile);
  };
  return {
    name,
    client: source.client,
    db: source.db,
    pool: target.pool,
    schema: target.schema,
    through: (urls, kafka = {}) => commands(urls, { kafka }),
    reconfigured: (changed) => commands({}, changed),
    ...(await commands({}, {})),
  };
}

function isSection(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function commandsOf(configFile: string): Commands {
  let started = 0;
  return {
    configFile,
    start: (...args) => {
      const logFile = `${configFile}.${args[0]}-${started++}.log`;
      const process_ = new HeadraceProcess({ args: [...args, "-c", configFile], env: process.env, logFile });
      process_.start();
      running.add(process_);
      return process_;
    },
    run: (...args) => toItsEnd(startCommand([...args, "-c", configFile], process.env)),
  };
}

async function toItsEnd(command: RunningCommand): Promise<CommandResult> {
  unfinished.add(command);
  const result = await command.result;
  unfinished.delete(command);
  return result;
}
