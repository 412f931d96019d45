import type { Db } from "mongodb";
import { replicationOf } from "../config/replication.ts";
import { HeadraceError, isPoison } from "../errors/error.ts";
import { clusterTimes } from "../producers/mongodb/client.ts";
import { readChunk } from "../producers/mongodb/snapshot-reader.ts";
import { canonicalKey } from "../schemas/keys/document-key.ts";
import { collectionIdType } from "../schemas/keys/id-type.ts";
import { registeredIdType } from "../schemas/registry/registry.ts";
import { readFilter, readSignalId, signalIdOf } from "../schemas/signal.ts";
import type { Signal, SnapshotSignal } from "../schemas/signal.ts";
import { topicOf } from "../schemas/topics.ts";
import { schemaRegistry } from "./connections.ts";
import type { Context } from "./context.ts";
import { replicatedCollections, requireReplicated, withDatabase } from "./source-database.ts";

const TRIAL_DOCUMENTS = 20;
const FILTER_REMEDY =
  `Give a MongoDB query in Extended JSON, for example '{"n":{"$gte":18}}', without operators like $near and $text, which ` +
  "need another index.";
const ID_REMEDY = `Give each _id in Extended JSON and with the type of the collection's _ids: 7, '"abc"', '{"$oid":"…"}'.`;

/** A request to read a collection again: all of it, what a filter finds, or the documents of some `_id`s. */
export interface SnapshotRequest {
  readonly collection: string;
  /** A MongoDB query in Extended JSON. */
  readonly filter?: string | undefined;
  /** Each in Extended JSON. */
  readonly ids?: readonly string[] | undefined;
}

/**
 * Checks a request against the source and the schema registry, and makes the signal that carries it.
 * @throws HeadraceError COLLECTION_NOT_REPLICATED; SIGNAL_INVALID if MongoDB cannot read by the filter, or if no
 * document of the collection can have one of the `_id`s
 */
export async function snapshotSignal(
  context: Context,
  { collection, filter, ids }: SnapshotRequest,
): Promise<SnapshotSignal> {
  if (filter !== undefined) checkFilter(filter);
  const signal: SnapshotSignal = {
    type: "snapshot",
    collection,
    filter,
    ids: ids && (await checkedIds(context, collection, ids)),
  };
  await withDatabase(context.config.mongodb, async (db) => {
    await requireReplicated(context, db, collection);
    if (filter !== undefined) await tryFilter(db, signal, context.signal);
  });
  return signal;
}

/**
 * Makes the signals that copy collections again and then delete the rows without a document.
 * @param collection null: every collection that the pipeline replicates
 * @param empty whether to empty the tables first
 * @throws HeadraceError COLLECTION_NOT_REPLICATED
 */
export async function resyncSignals(
  context: Context,
  { collection, empty }: { readonly collection: string | null; readonly empty: true | undefined },
): Promise<readonly Signal[]> {
  const names = await withDatabase(context.config.mongodb, async (db) => {
    if (collection === null) return replicatedCollections(context, db);
    await requireReplicated(context, db, collection);
    return [collection];
  });
  return names.map((name): Signal => ({ type: "resync", collection: name, empty }));
}

/** Without this check, an `_id` of a type that the collection does not have would find nothing, and nobody would notice. */
async function checkedIds(
  { config }: Context,
  collection: string,
  texts: readonly string[],
): Promise<SnapshotSignal["ids"]> {
  const topic = topicOf(config.name, config.mongodb.database, collection);
  const idType = await collectionIdType(collection, {
    declared: replicationOf(config, collection)?.mapping.idType,
    registered: () => registeredIdType(schemaRegistry(config), topic),
    found: async () => undefined,
  });
  return texts.map((text) => {
    try {
      const id = signalIdOf(text);
      canonicalKey(idType ?? "mixed", readSignalId(id));
      return { id };
    } catch (error) {
      throw invalid(error, ID_REMEDY);
    }
  });
}

function checkFilter(filter: string): void {
  try {
    readFilter(filter);
  } catch (error) {
    throw invalid(error, FILTER_REMEDY);
  }
}

/** Reads a few documents with the filter, in the way the producer reads them. */
async function tryFilter(db: Db, signal: SnapshotSignal, abort: AbortSignal): Promise<void> {
  const { majority: notBefore } = await clusterTimes(db);
  const request = { collection: signal.collection, selection: { offset: 0n, signal }, after: null, notBefore };
  try {
    await readChunk(db, request, { chunkDocuments: TRIAL_DOCUMENTS, filter: null, signal: abort });
  } catch (error) {
    if (!isPoison(error)) throw error;
    const reason = await refusalOf(db, signal);
    const message =
      reason === null
        ? "MongoDB cannot use the filter in a read along the _id index."
        : `MongoDB refuses the filter: ${reason}`;
    throw new HeadraceError("SIGNAL_INVALID", { message, remedy: FILTER_REMEDY }, error);
  }
}

/** MongoDB's words about a filter; null if the filter itself is right. It only plans, so its words can quote no document. */
async function refusalOf(db: Db, { collection, filter = "{}" }: SnapshotSignal): Promise<string | null> {
  try {
    await db.command({ explain: { find: collection, filter: readFilter(filter) }, verbosity: "queryPlanner" });
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The same error with a remedy for the person who gave the value, if the value is the reason. */
function invalid(error: unknown, remedy: string): unknown {
  if (!(error instanceof HeadraceError)) return error;
  const cause = error.code === "SIGNAL_INVALID" ? error.cause : error;
  return new HeadraceError("SIGNAL_INVALID", { message: error.message, remedy }, cause);
}
