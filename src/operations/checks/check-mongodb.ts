import type { Db } from "mongodb";
import type { Config } from "../../config/config-schema.ts";
import { closest } from "../../config/explain-issues.ts";
import { selectionOf } from "../../config/replication.ts";
import { connectMongo } from "../../producers/mongodb/client.ts";
import { findCollections, readIdEnds, requireFit } from "../../producers/mongodb/collections.ts";
import type { ReplicatedCollections } from "../../producers/mongodb/collections.ts";
import { mongoError } from "../../producers/mongodb/errors.ts";
import { readOplogWindow, windowMs } from "../../producers/mongodb/oplog.ts";
import type { OplogWindow } from "../../producers/mongodb/oplog.ts";
import { counted } from "../../runtime/counted.ts";
import { claimNames } from "../../schemas/collection-names.ts";
import { idTypeOfDocuments } from "../../schemas/keys/document-key.ts";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import { checkFilters } from "./check-filters.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult, CheckWarning } from "./check-result.ts";

/**
 * Checks that the collections can be replicated. Only reads.
 * @param withTopic gives the collections that have a topic; called only if the config lists none
 */
export async function checkMongodb(
  config: Config,
  withTopic: () => Promise<readonly string[]>,
): Promise<MongodbChecks> {
  const { uri, database } = config.mongodb;
  let db: Db | undefined;
  const connected = await runCheck("mongodb", "is a replica set of MongoDB 5.0 or later", async () => {
    const client = await connectMongo({ uri, database });
    db = client.db(database);
  });
  if (db === undefined) return { results: [connected], idTypes: new Map() };
  try {
    const { results, idTypes } = await checkDatabase(db, config, withTopic);
    return { results: [connected, ...results], idTypes };
  } finally {
    await db.client.close();
  }
}

export interface MongodbChecks {
  readonly results: readonly CheckResult[];
  /** The collections to replicate, each with its `_id` type; undefined for an empty one. Empty if a check failed. */
  readonly idTypes: ReadonlyMap<string, IdType | undefined>;
}

async function checkDatabase(
  db: Db,
  config: Config,
  withTopic: () => Promise<readonly string[]>,
): Promise<MongodbChecks> {
  const { name: pipeline, mongodb } = config;
  const selection = selectionOf(config);
  let names: readonly string[] = [];
  let notes: readonly string[] = [];
  const idTypes = new Map<string, IdType | undefined>();
  const found = await runCheck("mongodb", "has collections that can be replicated", async () => {
    const established = [...selection.named, ...(selection.others === null ? [] : await withTopic())];
    const replicated = await findCollections(db, selection, claimNames(pipeline, mongodb.database, established));
    requireFit(replicated, selection);
    ({ names } = replicated);
    notes = [...replicated.leftOut].map(([name, why]) => `leaves out ${JSON.stringify(name)}: ${why}`);
    if (replicated.existing.length === 0) return await emptyDatabase(db);
    return replicated.missing.length === 0 ? undefined : missingCollections(replicated);
  });
  const readable = await runCheck("mongodb", "allows the user to read the collections", async () => {
    for (const name of names) idTypes.set(name, idTypeOfDocuments(await readIdEnds(db, name)));
  });
  const streamable = await runCheck("mongodb", "allows the user to open a change stream on the database", () =>
    checkChangeStream(db),
  );
  const filters = await checkFilters(db, config, names);
  return {
    results: [{ ...found, notes }, readable, ...filters, streamable, await checkOplog(db)],
    idTypes,
  };
}

/** MongoDB takes a database that does not exist for an empty one. */
async function emptyDatabase(db: Db): Promise<CheckWarning> {
  const { databaseName: name } = db;
  const similar = closest(name, await otherDatabases(db));
  const hint = similar === null ? "" : ` The server has a database ${JSON.stringify(similar)}.`;
  return {
    message: `The database ${JSON.stringify(name)} has no collections.${hint}`,
    remedy: "Correct mongodb.database. If the data is still to come, nothing is to be done: Headrace waits for it.",
  };
}

/** Those that the user may see, without MongoDB's own. */
async function otherDatabases(db: Db): Promise<readonly string[]> {
  try {
    const { databases } = await db.admin().listDatabases({ nameOnly: true, authorizedDatabases: true });
    return databases
      .map(({ name }) => name)
      .filter((name) => ![db.databaseName, "admin", "config", "local"].includes(name));
  } catch (error) {
    throw mongoError(error, "listing the databases");
  }
}

function missingCollections({ existing, missing }: ReplicatedCollections): CheckWarning {
  const quoted = (names: readonly string[]) => names.map((name) => JSON.stringify(name)).join(", ");
  const similar = new Set(missing.flatMap((name) => closest(name, existing) ?? []));
  return {
    message: `The database has no collection ${quoted(missing)}.${similar.size === 0 ? "" : ` It has ${quoted([...similar])}.`}`,
    remedy: "Correct the name in `collections`. If the collection is still to be made, Headrace waits for it.",
  };
}

/** Never fails for a missing right: the window is only shown. */
async function checkOplog(db: Db): Promise<CheckResult> {
  let window: OplogWindow | null = null;
  const looked = await runCheck("mongodb", "shows how far back its oplog reaches", async () => {
    window = await readOplogWindow(db);
  });
  return looked.problem === null ? { ...looked, what: oplogText(window) } : looked;
}

function oplogText(window: OplogWindow | null): string {
  if (window === null)
    return "does not allow the user to read the oplog, so Headrace cannot warn before it runs out (optional; needs the role read on the database local)";
  const minutes = windowMs(window) / 60_000;
  const [length, unit] = minutes < 120 ? [minutes, "minute"] : [minutes / 60, "hour"];
  return `has an oplog that reaches back ${counted(Math.floor(length), unit)}${window.isFull ? "" : " and is not full yet"}`;
}

async function checkChangeStream(db: Db): Promise<void> {
  const command = { aggregate: 1, pipeline: [{ $changeStream: {} }], cursor: { batchSize: 0 } };
  const { cursor } = await run(db, command, "opening a change stream");
  await run(db, { killCursors: "$cmd.aggregate", cursors: [cursor.id] }, "closing the change stream");
}

async function run(db: Db, command: object, doing: string): Promise<{ cursor: { id: unknown } }> {
  try {
    return (await db.command(command, { promoteLongs: false })) as { cursor: { id: unknown } };
  } catch (error) {
    throw mongoError(error, doing);
  }
}
