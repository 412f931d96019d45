import type { Db } from "mongodb";
import { Client } from "pg";
import type { CollectionConfig } from "../config/collections-schema.ts";
import type { Config } from "../config/config-schema.ts";
import { replicationOf, takesOthers } from "../config/replication.ts";
import { classifyConnectError } from "../consumers/postgres/errors.ts";
import { HeadraceError } from "../errors/error.ts";
import type { Context } from "../operations/context.ts";
import { openDeadLetterAccess } from "../operations/dead-letter-access.ts";
import type { DeadLetterAccess } from "../operations/dead-letter-access.ts";
import { openPipelineReader, waitUntilCaughtUp } from "../operations/pipeline-reader.ts";
import type { PipelineReader } from "../operations/pipeline-reader.ts";
import type { AwaitedProcess } from "../operations/signals.ts";
import { sendAndWait } from "../operations/signals.ts";
import { notReplicated, replicatedCollections, withDatabase } from "../operations/source-database.ts";
import { connectAttempts, tryInOrder } from "../postgres/address.ts";
import type { ConnectAttempt } from "../postgres/address.ts";
import { clusterTimes } from "../producers/mongodb/client.ts";
import type { Version } from "../schemas/change-event.ts";
import { registeredIdType } from "../schemas/registry/registry.ts";
import { topicOf } from "../schemas/topics.ts";
import { compareTables } from "./compare-tables.ts";
import type { ComparedPipeline } from "./compare-tables.ts";
import { openDeadLetters } from "./open-dead-letters.ts";
import { Repairs } from "./repairs.ts";
import type { VerifyResult } from "./result.ts";

const CONNECT_TIMEOUT_MS = 5_000;

export interface VerifyOptions {
  /** Collections to compare; undefined for all that the config replicates. */
  readonly collections?: readonly string[] | undefined;
  /** How long each wait for the pipeline to catch up may take, in ms. */
  readonly waitMs: number;
}

/**
 * Compares a pipeline's tables with its collections, has the running pipeline read the differing documents again, and
 * compares once more. If the pipeline did not catch up, the differences may only be late, so nothing is repaired.
 * @param onRepair called before the request is sent
 * @param onSilence as in `sendAndWait`
 * @returns the second comparison; the first one if nothing was repaired
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
  context: Context,
  { waitMs, collections }: VerifyOptions,
  found: ComparedPipeline["found"],
): Promise<VerifyResult> {
  const { config, logger } = context;
  return withDatabase(config.mongodb, async (db) => {
    const closing: (() => Promise<void>)[] = [];
    try {
      const client = await connectPostgres(config);
      closing.push(() => client.end());
      const reader = await openPipelineReader(config, logger);
      closing.push(() => reader.close());
      const letters = await openDeadLetterAccess(config, logger);
      closing.push(() => letters.close());
      const compared = await collectionsToCompare(context, db, collections);
      const sides = { db, client, reader, letters };
      return await compareTables({ ...comparedPipeline(context, sides, waitMs), found }, compared);
    } finally {
      for (const close of closing.toReversed()) await close();
    }
  });
}

interface Sides {
  readonly db: Db;
  readonly client: Client;
  readonly reader: PipelineReader;
  readonly letters: DeadLetterAccess;
}

function comparedPipeline(
  { config, signal }: Context,
  { db, client, reader, letters }: Sides,
  timeoutMs: number,
): ComparedPipeline {
  const { name, mongodb, postgres, documents } = config;
  return {
    db,
    client,
    schema: postgres.schema,
    nulCharacters: documents.nulCharacters,
    idTypeOf: (collection) => registeredIdType(letters.registry, topicOf(name, mongodb.database, collection)),
    waitUntilCaughtUp: () => timeOfTables(db, reader, { timeoutMs, signal }),
    openDeadLetters: (collection, findings) =>
      openDeadLetters(findings, { ...letters, topic: topicOf(name, mongodb.database, collection), signal }),
    signal,
  };
}

async function connectPostgres({ name, postgres }: Config): Promise<Client> {
  return await tryInOrder(await connectAttempts(postgres.url), (attempt) => connectOnce(attempt, name));
}

async function connectOnce(attempt: ConnectAttempt, name: string): Promise<Client> {
  const client = new Client({
    ...attempt,
    application_name: `headrace verify ${name}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // The running query, or the next one, reports a broken connection.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    throw classifyConnectError(error, { connectionLost: client.connection.stream.destroyed });
  }
  return client;
}

/** Of those that the config does not name this includes dropped collections: their tables must be empty. */
async function collectionsToCompare(
  context: Context,
  db: Db,
  wanted: readonly string[] | undefined,
): Promise<readonly CollectionConfig[]> {
  const { config } = context;
  const all = takesOthers(config)
    ? (await replicatedCollections(context, db)).flatMap((name) => replicationOf(config, name) ?? [])
    : [...(config.collections?.values() ?? [])];
  if (wanted === undefined) return all;
  return wanted.map((name) => {
    const found = all.find(({ mapping }) => mapping.collection === name);
    if (found === undefined) throw notReplicated(name);
    return found;
  });
}

async function timeOfTables(
  db: Db,
  reader: PipelineReader,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Version | null> {
  const { majority: clusterTime } = await clusterTimes(db);
  try {
    await waitUntilCaughtUp(reader, { clusterTime, timeoutMs, signal });
    return clusterTime;
  } catch (error) {
    if (error instanceof HeadraceError && error.code === "CATCH_UP_TIMEOUT") return null;
    throw error;
  }
}
