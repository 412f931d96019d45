import { Command } from "commander";
import type { Db } from "mongodb";
import { errorKind, HeadraceError } from "../../errors/error.ts";
import { schemaRegistry } from "../../operations/connections.ts";
import { requireReplicated, withDatabase } from "../../operations/signals.ts";
import { clusterTimes } from "../../producers/mongodb/client.ts";
import { readChunk } from "../../producers/mongodb/snapshot-reader.ts";
import { EXIT_USAGE } from "../../runtime/lifecycle.ts";
import { canonicalKey } from "../../schemas/keys/document-key.ts";
import { collectionIdType } from "../../schemas/keys/id-type.ts";
import { registeredIdType } from "../../schemas/registry/registry.ts";
import { encodeSignal, readSignalId, signalIdOf } from "../../schemas/signal.ts";
import type { SnapshotSignal } from "../../schemas/signal.ts";
import { topicOf } from "../../schemas/topics.ts";
import { onConfig } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { sendAndTell } from "../send-and-tell.ts";

const TRIAL_DOCUMENTS = 20;

interface SnapshotOptions {
  readonly collection: string;
  readonly filter?: string;
  readonly ids?: readonly string[];
  readonly wait?: true;
}

export function snapshotCommand(): Command {
  const command = new Command("snapshot")
    .description("Read a collection, or some of its documents, again. Deletes nothing but --ids that are not there.")
    .requiredOption("--collection <name>", "the collection")
    .option("--filter <json>", "only what this MongoDB query finds, in Extended JSON")
    .option("--ids <json...>", `only the documents of these _ids, in Extended JSON: 7, '"abc"', '{"$oid":"…"}'`)
    .option("--wait", "wait until it is in the tables");
  return onConfig(command, "question", async (context) => {
    const { collection, filter, ids, wait } = command.opts<SnapshotOptions>();
    if (filter !== undefined && ids !== undefined) {
      process.stderr.write("error: give --filter or --ids\n");
      return EXIT_USAGE;
    }
    const asked: SnapshotSignal = {
      type: "snapshot",
      collection,
      filter,
      ids: ids && (await checkedIds(context, collection, ids)),
    };
    encodeSignal(asked);
    await withDatabase(context.config, async (db) => {
      await requireReplicated(context, db, collection);
      if (filter !== undefined) await tryFilter(db, asked, context.signal);
    });
    await sendAndTell(context, [asked], { wait: wait === true });
    return undefined;
  });
}

/** An id that the collection cannot have finds nothing, which would not be noticed. */
async function checkedIds(
  { config }: CommandContext,
  collection: string,
  texts: readonly string[],
): Promise<SnapshotSignal["ids"]> {
  const topic = topicOf(config.name, config.mongodb.database, collection);
  const idType = await collectionIdType({
    declared: config.collections?.[collection]?.mapping.idType,
    registered: () => registeredIdType(schemaRegistry(config), topic),
    found: async () => undefined,
  });
  return texts.map((text) => {
    try {
      const id = signalIdOf(text);
      canonicalKey(idType ?? "mixed", readSignalId(id));
      return { id };
    } catch (error) {
      if (!(error instanceof HeadraceError)) throw error;
      throw invalid(`--ids cannot be asked for: ${error.message}`, error);
    }
  });
}

/** Reads a few documents by it, as the producer would. */
async function tryFilter(db: Db, signal: SnapshotSignal, abort: AbortSignal): Promise<void> {
  const { majority: notBefore } = await clusterTimes(db);
  const request = { collection: signal.collection, selection: { offset: 0n, signal }, after: null, notBefore };
  try {
    await readChunk(db, request, { chunkDocuments: TRIAL_DOCUMENTS, signal: abort });
  } catch (error) {
    if (errorKind(error) !== "poison") throw error;
    throw invalid("MongoDB does not read by this filter in the order of the _id index", error);
  }
}

function invalid(problem: string, cause: unknown): HeadraceError {
  return new HeadraceError("SIGNAL_INVALID", { message: problem }, cause);
}
