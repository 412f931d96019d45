import type { Db } from "mongodb";
import type { Config } from "../../config/config-schema.ts";
import { connectMongo } from "../../producers/mongodb/client.ts";
import { findCollections, readIdEnds } from "../../producers/mongodb/collections.ts";
import { mongoError } from "../../producers/mongodb/errors.ts";
import { readOplogWindow, windowMs } from "../../producers/mongodb/oplog.ts";
import type { OplogWindow } from "../../producers/mongodb/oplog.ts";
import { idTypeOfDocuments } from "../../schemas/keys/document-key.ts";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";

/**
 * Checks that the collections can be replicated. Only reads.
 * @param begunCollections gives the collections that the producer has started; called only if one of the config's is missing
 */
export async function checkMongodb(
  config: Config,
  begunCollections: () => Promise<ReadonlySet<string>>,
): Promise<MongodbChecks> {
  const { uri, database } = config.mongodb;
  let db: Db | undefined;
  const connected = await runCheck("mongodb", "is a replica set of MongoDB 5.0 or later", async () => {
    const client = await connectMongo({ uri, database });
    db = client.db(database);
  });
  if (db === undefined) return { results: [connected], idTypes: new Map() };
  try {
    const { results, idTypes } = await checkDatabase(db, config, begunCollections);
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
  { collections, mongodb: { onDrop } }: Config,
  begunCollections: () => Promise<ReadonlySet<string>>,
): Promise<MongodbChecks> {
  let names: readonly string[] = [];
  let missing: readonly string[] = [];
  const idTypes = new Map<string, IdType | undefined>();
  const found = await runCheck("mongodb", "has the collections, and they can be replicated", async () => {
    const wanted = collections === undefined ? null : Object.keys(collections);
    const absent = await findCollections(db, wanted, () => true);
    const dropped = onDrop === "apply" && absent.missing.length > 0 ? await begunCollections() : new Set();
    ({ names, missing } = await findCollections(db, wanted, (name) => dropped.has(name)));
  });
  const readable = await runCheck("mongodb", "allows the user to read the collections", async () => {
    for (const name of names) idTypes.set(name, idTypeOfDocuments(await readIdEnds(db, name)));
  });
  const streamable = await runCheck("mongodb", "allows the user to open a change stream on the database", () =>
    checkChangeStream(db),
  );
  return {
    results: [{ ...found, what: `${found.what}${exceptFor(missing)}` }, readable, streamable, await checkOplog(db)],
    idTypes,
  };
}

function exceptFor(missing: readonly string[]): string {
  if (missing.length === 0) return "";
  return `, except ${missing.map((name) => JSON.stringify(name)).join(", ")}, which was dropped after it was replicated`;
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
  const [length, unit] = minutes < 120 ? [minutes, "minutes"] : [minutes / 60, "hours"];
  return `has an oplog that reaches back ${Math.floor(length)} ${unit}${window.isFull ? "" : " and is not full yet"}`;
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
