import type { Db } from "mongodb";
import type { Config } from "../../config/config-schema.ts";
import { connectMongo } from "../../producers/mongodb/client.ts";
import { findCollections, readIdEnds } from "../../producers/mongodb/collections.ts";
import { mongoError } from "../../producers/mongodb/errors.ts";
import { readOplogWindow, windowMs } from "../../producers/mongodb/oplog.ts";
import type { OplogWindow } from "../../producers/mongodb/oplog.ts";
import { idTypeOf } from "../../schemas/keys/document-key.ts";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import { look } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";

/**
 * Looks whether the source can be replicated. Reads only.
 * @param begunCollections those that the producer has begun; asked for only if it matters
 */
export async function checkMongodb(
  config: Config,
  begunCollections: () => Promise<ReadonlySet<string>>,
): Promise<MongodbChecks> {
  const { uri, database } = config.mongodb;
  let db: Db | undefined;
  const connected = await look("mongodb", "is a replica set of MongoDB 5.0 or later", async () => {
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
  /** The collections to replicate, each with the type of its `_id`s where it has documents; none where that is not known. */
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
  const found = await look("mongodb", "has the collections, of kinds that can be replicated", async () => {
    const wanted = collections === undefined ? null : Object.keys(collections);
    const absent = await findCollections(db, wanted, () => true);
    const dropped = onDrop === "apply" && absent.missing.length > 0 ? await begunCollections() : new Set();
    ({ names, missing } = await findCollections(db, wanted, (name) => dropped.has(name)));
  });
  const readable = await look("mongodb", "lets the user read the collections", async () => {
    for (const name of names) idTypes.set(name, idTypeOf(await readIdEnds(db, name)));
  });
  const streamable = await look("mongodb", "lets the user open a change stream on the database", () =>
    checkChangeStream(db),
  );
  return {
    results: [{ ...found, what: `${found.what}${exceptFor(missing)}` }, readable, streamable, await checkOplog(db)],
    idTypes,
  };
}

function exceptFor(missing: readonly string[]): string {
  if (missing.length === 0) return "";
  return `, but for ${missing.map((name) => JSON.stringify(name)).join(", ")}, dropped since it was replicated`;
}

/** To know it is not needed; to tell it is. */
async function checkOplog(db: Db): Promise<CheckResult> {
  let window: OplogWindow | null = null;
  const looked = await look("mongodb", "tells how far its oplog reaches back", async () => {
    window = await readOplogWindow(db);
  });
  return looked.problem === null ? { ...looked, what: oplogText(window) } : looked;
}

function oplogText(window: OplogWindow | null): string {
  if (window === null) return "does not let the user see how far its oplog reaches back, which is not needed";
  const minutes = windowMs(window) / 60_000;
  const [length, unit] = minutes < 120 ? [minutes, "minutes"] : [minutes / 60, "hours"];
  return `has an oplog that reaches back ${Math.floor(length)} ${unit}${window.isFull ? "" : ", and is not full yet"}`;
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
