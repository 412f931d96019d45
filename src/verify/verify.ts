import type { Db } from "mongodb";
import { Client } from "pg";
import { collectionConfig } from "../config/collections-schema.ts";
import type { CollectionConfig } from "../config/collections-schema.ts";
import type { Config } from "../config/config-schema.ts";
import { classifyPostgresError } from "../consumers/postgres/errors.ts";
import { HeadraceError } from "../errors/error.ts";
import type { Context } from "../operations/context.ts";
import { openDeadLetterAccess } from "../operations/dead-letter-access.ts";
import { openPipelineReader, waitUntilCaughtUp } from "../operations/pipeline-reader.ts";
import type { PipelineReader } from "../operations/pipeline-reader.ts";
import type { AwaitedProcess } from "../operations/signals.ts";
import { sendAndWait } from "../operations/signals.ts";
import { clusterTimes, connectMongo } from "../producers/mongodb/client.ts";
import { findCollections } from "../producers/mongodb/collections.ts";
import type { Version } from "../schemas/change-event.ts";
import { registeredIdType } from "../schemas/registry/registry.ts";
import { collectionOf, topicOf } from "../schemas/topics.ts";
import { compareTables } from "./compare-tables.ts";
import type { ComparedPipeline } from "./compare-tables.ts";
import { openDeadLetters } from "./open-dead-letters.ts";
import { Repairs } from "./repairs.ts";
import type { VerifyResult } from "./result.ts";

const CONNECT_TIMEOUT_MS = 5_000;

export interface VerifyOptions {
  /** Collections to compare; undefined for all that the config replicates. */
  readonly collections?: readonly string[] | undefined;
  /** How long to wait at a time for the pipeline to apply what differs. */
  readonly waitMs: number;
}

/**
 * Compares a pipeline's tables with its collections, has the running pipeline read again what differs, and compares
 * once more. Where the pipeline has not caught up, nothing is known to be wrong, so nothing is repaired.
 * @param onRepair called before keys are read again
 * @param onSilence as of `sendAndWait`
 * @returns the second comparison; the first where there was nothing to repair, or nobody who repairs
 * @throws HeadraceError
 */
export async function verifyAndRepair(
  context: Context,
  options: VerifyOptions,
  { onRepair, onSilence }: { onRepair: () => void; onSilence: (missing: AwaitedProcess) => boolean },
): Promise<VerifyResult> {
  const repairs = new Repairs();
  const result = await compare(context, options, (...finding) => repairs.add(...finding));
  const signals = repairs.signals();
  if (result.caughtUp !== true || signals.length === 0) return result;
  onRepair();
  const isRepaired = await sendAndWait(context, signals, onSilence);
  return isRepaired ? verify(context, options) : result;
}

/**
 * Compares a pipeline's collections with their tables; the pipeline may be running.
 * @throws HeadraceError
 */
export function verify(context: Context, options: VerifyOptions): Promise<VerifyResult> {
  return compare(context, options, undefined);
}

async function compare(
  { config, logger, signal }: Context,
  { waitMs, collections }: VerifyOptions,
  found: ComparedPipeline["found"],
): Promise<VerifyResult> {
  const { uri, database } = config.mongodb;
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
        found,
        signal,
      },
      await collectionsToCompare(config, { db, status }, collections),
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
  // The running query, or the next one, reports a broken connection.
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

/** Includes dropped collections: their tables have to be empty. */
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
