import { Command } from "commander";
import type { Db } from "mongodb";
import { Client } from "pg";
import { collectionConfig } from "../config/collections-schema.ts";
import type { CollectionConfig } from "../config/collections-schema.ts";
import type { Config } from "../config/config-schema.ts";
import { classifyPostgresError } from "../consumers/postgres-errors.ts";
import { clusterTimes, connectMongo } from "../producers/mongo-client.ts";
import { findCollections } from "../producers/mongo-collections.ts";
import { HeadraceError } from "../runtime/errors.ts";
import { EXIT_DONE, EXIT_FATAL } from "../runtime/lifecycle.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Version } from "../schemas/change-event.ts";
import { registeredIdType } from "../schemas/registry.ts";
import { collectionOf, topicOf } from "../schemas/topics.ts";
import { onConfig } from "./command-context.ts";
import { openDeadLetterAccess } from "./dead-letter-access.ts";
import { parseSeconds } from "./option-parsers.ts";
import { openPipelineReader, waitUntilCaughtUp } from "./pipeline-status.ts";
import type { PipelineReader } from "./pipeline-status.ts";
import { openDeadLetters } from "./verify-dead-letters.ts";
import { verifyReport } from "./verify-report.ts";
import type { VerifyResult } from "./verify-result.ts";
import { compareTables } from "./verify-tables.ts";

const CONNECT_TIMEOUT_MS = 5_000;

interface VerifyOptions {
  /** Collections to compare; undefined for all that the config replicates. */
  readonly collections?: readonly string[] | undefined;
  /** How long to wait at a time for the pipeline to apply what differs. */
  readonly waitMs: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

export function verifyCommand(): Command {
  const command = new Command("verify")
    .description(
      "Compare every document with its row, by key and by value; list the keys that are missing, extra or different. Changes nothing.",
    )
    .option("--json", "print the result as JSON")
    .option("--collection <name>", "compare this collection only; may be given several times", addName)
    .option("--wait <seconds>", "how long to wait for the pipeline to apply what differs", parseSeconds, 30);
  return onConfig(command, "question", async ({ config, logger, signal }) => {
    const { json = false, collection: collections, wait } = command.opts<CommandOptions>();
    const result = await verify(config, { collections, waitMs: wait * 1000, logger, signal });
    process.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : verifyReport(result));
    return result.equal ? EXIT_DONE : EXIT_FATAL;
  });
}

interface CommandOptions {
  readonly json?: boolean;
  readonly collection?: readonly string[];
  readonly wait: number;
}

function addName(name: string, names: readonly string[] = []): readonly string[] {
  return [...names, name];
}

/**
 * Compares the collections of a pipeline with their tables; the pipeline may be running.
 * @throws HeadraceError, ContractError
 */
async function verify(config: Config, options: VerifyOptions): Promise<VerifyResult> {
  const { uri, database } = config.mongodb;
  const { logger, signal, waitMs } = options;
  const closing: (() => Promise<void>)[] = [];
  try {
    const mongo = await connectMongo({ uri, database });
    closing.push(() => mongo.close());
    const db = mongo.db(database);
    const client = await connectPostgres(config);
    closing.push(() => client.end());
    const status = await openPipelineReader(config, logger);
    closing.push(() => status.close());
    const letters = await openDeadLetterAccess(config, logger);
    closing.push(() => letters.close());
    return await compareTables(
      {
        db,
        client,
        schema: config.postgres.schema,
        nulCharacters: config.documents.nulCharacters,
        idTypeOf: (collection) => registeredIdType(letters.registry, topicOf(config.name, database, collection)),
        waitUntilCaughtUp: () => timeOfTables(db, status, { timeoutMs: waitMs, signal }),
        openDeadLetters: (collection, findings) =>
          openDeadLetters(findings, { ...letters, topic: topicOf(config.name, database, collection), signal }),
        signal,
      },
      await collectionsToCompare(config, { db, status }, options.collections),
    );
  } finally {
    for (const close of closing.toReversed()) await close();
  }
}

async function connectPostgres({ name, postgres }: Config): Promise<Client> {
  const client = new Client({
    connectionString: postgres.url,
    application_name: `headrace verify ${name}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // A connection that breaks is told by the query that is running, or the next one.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    throw classifyPostgresError(error, { connectionLost: true });
  }
  return client;
}

async function collectionsToCompare(
  config: Config,
  { db, status }: { readonly db: Db; readonly status: PipelineReader },
  wanted: readonly string[] | undefined,
): Promise<readonly CollectionConfig[]> {
  const { collections } = config;
  const all = collections === undefined ? await allCollections(config, db, status) : Object.values(collections);
  if (wanted === undefined) return all;
  return wanted.map((name) => {
    const found = all.find(({ mapping }) => mapping.collection === name);
    if (found === undefined) throw notReplicated(name);
    return found;
  });
}

/** Those that were dropped, too: their tables have to be empty. */
async function allCollections(
  { name, mongodb }: Config,
  db: Db,
  status: PipelineReader,
): Promise<readonly CollectionConfig[]> {
  const { names } = await findCollections(db, null);
  const published = (await status.ends()).map(({ topic }) => collectionOf(name, mongodb.database, topic) ?? []);
  return [...new Set([...names, ...published.flat()])].toSorted().map((each) => collectionConfig(each));
}

function notReplicated(name: string): HeadraceError {
  return new HeadraceError("COLLECTION_NOT_REPLICATED", {
    message: `The pipeline does not replicate a collection ${JSON.stringify(name)}.`,
  });
}

async function timeOfTables(
  db: Db,
  status: PipelineReader,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Version | null> {
  const { majority: clusterTime } = await clusterTimes(db);
  try {
    await waitUntilCaughtUp(status, { clusterTime, timeoutMs, signal });
    return clusterTime;
  } catch (error) {
    if (error instanceof HeadraceError && error.code === "CATCH_UP_TIMEOUT") return null;
    throw error;
  }
}
