import { Command } from "commander";
import type { Db } from "mongodb";
import { Client } from "pg";
import { collectionConfig } from "../../config/collections-schema.ts";
import type { CollectionConfig } from "../../config/collections-schema.ts";
import type { Config } from "../../config/config-schema.ts";
import { classifyPostgresError } from "../../consumers/postgres/errors.ts";
import { HeadraceError } from "../../errors/error.ts";
import { openDeadLetterAccess } from "../../operations/dead-letter-access.ts";
import { openPipelineReader, waitUntilCaughtUp } from "../../operations/pipeline-reader.ts";
import type { PipelineReader } from "../../operations/pipeline-reader.ts";
import { sendAndWait } from "../../operations/signals.ts";
import { clusterTimes, connectMongo } from "../../producers/mongodb/client.ts";
import { findCollections } from "../../producers/mongodb/collections.ts";
import { EXIT_DONE, EXIT_FATAL } from "../../runtime/lifecycle.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { Version } from "../../schemas/change-event.ts";
import { registeredIdType } from "../../schemas/registry/registry.ts";
import { collectionOf, topicOf } from "../../schemas/topics.ts";
import { compareTables } from "../../verify/compare-tables.ts";
import type { ComparedPipeline } from "../../verify/compare-tables.ts";
import { openDeadLetters } from "../../verify/open-dead-letters.ts";
import { Repairs } from "../../verify/repairs.ts";
import type { VerifyResult } from "../../verify/result.ts";
import { onConfig } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { parseSeconds } from "../options.ts";
import { verifyReport } from "../output/verify-report.ts";

const CONNECT_TIMEOUT_MS = 5_000;

interface VerifyOptions {
  /** Collections to compare; undefined for all that the config replicates. */
  readonly collections?: readonly string[] | undefined;
  /** How long to wait at a time for the pipeline to apply what differs. */
  readonly waitMs: number;
  readonly logger: Logger;
  readonly found?: ComparedPipeline["found"];
  readonly signal: AbortSignal;
}

export function verifyCommand(): Command {
  const command = new Command("verify")
    .description(
      "Compare every document with its row, by key and by value; list the keys that are missing, extra or different.",
    )
    .option("--repair", "have the running pipeline read again what is wrong, and compare once more")
    .option("--json", "print the result as JSON")
    .option("--collection <name>", "compare this collection only; may be given several times", addName)
    .option("--wait <seconds>", "how long to wait for the pipeline to apply what differs", parseSeconds, 30);
  return onConfig(command, "question", async (context) => {
    const { config, logger, signal } = context;
    const { json = false, collection: collections, wait, repair = false } = command.opts<CommandOptions>();
    const options = { collections, waitMs: wait * 1000, logger, signal };
    const result = await (repair ? verifyAndRepair(context, options) : verify(config, options));
    process.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : verifyReport(result));
    return result.equal ? EXIT_DONE : EXIT_FATAL;
  });
}

interface CommandOptions {
  readonly json?: boolean;
  readonly repair?: boolean;
  readonly collection?: readonly string[];
  readonly wait: number;
}

function addName(name: string, names: readonly string[] = []): readonly string[] {
  return [...names, name];
}

/**
 * What is only late is not repaired: while the pipeline is behind, nothing is known to be wrong. But where nothing has
 * changed since it was stopped it is not behind, so that there may be nobody who repairs.
 */
async function verifyAndRepair(context: CommandContext, options: VerifyOptions): Promise<VerifyResult> {
  const { config } = context;
  const repairs = new Repairs();
  const found = (...finding: Parameters<Repairs["add"]>): void => repairs.add(...finding);
  const result = await verify(config, { ...options, found });
  const signals = repairs.signals();
  if (result.caughtUp !== true || signals.length === 0) return result;
  process.stderr.write("What is wrong is read again; all is compared once more when that is in the tables.\n");
  const isRepaired = await sendAndWait(context, signals, { isPatient: false });
  return isRepaired ? verify(config, options) : result;
}

/**
 * Compares the collections of a pipeline with their tables; the pipeline may be running.
 * @throws HeadraceError
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
        found: options.found,
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
