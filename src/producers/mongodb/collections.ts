import type { Db } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
import { mongoError } from "./errors.ts";

/** The collections of a database that are replicated. */
export interface ReplicatedCollections {
  readonly names: readonly string[];
  /** Those of `names` that do not exist now. */
  readonly missing: readonly string[];
  /** If the whole database is replicated: the collections that cannot be. */
  readonly leftOut: readonly { readonly name: string; readonly why: string }[];
}

/**
 * Finds the collections to replicate.
 * @param wanted the collections of the config; null: all of the database
 * @param mayBeMissing whether a collection of the config need not exist, because it may have been dropped
 * @throws HeadraceError that names every collection that is missing or cannot be replicated
 */
export async function findCollections(
  db: Db,
  wanted: readonly string[] | null,
  mayBeMissing: (name: string) => boolean = () => false,
): Promise<ReplicatedCollections> {
  const listed = await listCollections(db);
  const capped = listed.filter(({ name, options }) => options?.capped === true && (wanted?.includes(name) ?? true));
  if (capped.length > 0) throw cappedCollections(capped.map(({ name }) => name));
  const unfit = new Map(listed.flatMap((info) => unfitness(info) ?? []));
  if (wanted === null) {
    const names = listed.map(({ name }) => name).filter((name) => !unfit.has(name) && !isInternal(name));
    return { names: names.toSorted(), missing: [], leftOut: [...unfit].map(([name, why]) => ({ name, why })) };
  }
  const known = new Set(listed.map(({ name }) => name));
  const missing = wanted.filter((name) => !known.has(name));
  const unknown = missing.filter((name) => !mayBeMissing(name));
  if (unknown.length > 0) throw unknownCollections(unknown, db.databaseName);
  const refused = wanted.filter((name) => unfit.has(name));
  if (refused.length > 0) throw unfitCollections(refused.map((name) => `${quoted(name)} is ${unfit.get(name)}`));
  return { names: wanted, missing, leftOut: [] };
}

/** The first and the last `_id` of a collection in MongoDB's order, as raw BSON documents. Empty if the collection is. */
export async function readIdEnds(db: Db, collection: string): Promise<readonly Uint8Array[]> {
  try {
    const ends = await Promise.all(
      ([1, -1] as const).map((direction) =>
        db
          .collection(collection)
          .find({}, { raw: true, projection: { _id: 1 }, sort: { _id: direction }, limit: 1 })
          .toArray(),
      ),
    );
    return ends.flat() as unknown as Uint8Array[];
  } catch (error) {
    throw mongoError(error, `reading the collection ${quoted(collection)}`);
  }
}

interface CollectionInfo {
  readonly name: string;
  readonly type?: string;
  readonly options?: { readonly capped?: boolean };
}

async function listCollections(db: Db): Promise<CollectionInfo[]> {
  try {
    return await db.listCollections().toArray();
  } catch (error) {
    throw mongoError(error, "listing the collections");
  }
}

function unfitness({ name, type }: CollectionInfo): [[name: string, why: string]] | undefined {
  if (type === "view") return [[name, "a view"]];
  return type === "timeseries" ? [[name, "a time-series collection"]] : undefined;
}

/** @param wanted null: every collection of the database */
export function isReplicated(name: string, wanted: readonly string[] | null): boolean {
  return wanted === null ? name !== "" && !isInternal(name) : wanted.includes(name);
}

/**
 * MongoDB's own collections: `system.views`, `system.buckets.…`, and two kinds of temporary ones: `$out` writes into one
 * before it renames it; a rename from another database copies into one first (seen with MongoDB 6.0). Also valid as
 * a `$regex`.
 */
export const INTERNAL_NAME = /^(system\.|tmp\.agg_out\.|tmp\w{5}\.renameCollection$)/;

function isInternal(name: string): boolean {
  return INTERNAL_NAME.test(name);
}

function unknownCollections(names: readonly string[], database: string): HeadraceError {
  return new HeadraceError("UNKNOWN_COLLECTION", {
    message: `The database ${quoted(database)} has no collection ${names.map(quoted).join(", ")}.`,
  });
}

function cappedCollections(names: readonly string[]): HeadraceError {
  return new HeadraceError("COLLECTION_CAPPED", {
    message: `Capped collections cannot be replicated, because MongoDB cannot read them at a given cluster time: ${names.map(quoted).join(", ")}.`,
  });
}

function unfitCollections(refusals: readonly string[]): HeadraceError {
  return new HeadraceError("COLLECTION_UNFIT", {
    message: `These collections of the config cannot be replicated: ${refusals.join(", ")}.`,
  });
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
