// Replaces whole collections, without an event for each document.
import type { ClientSession, Db } from "mongodb";
import type { Fields } from "./model-history.ts";
import type { Random } from "./random.ts";

/** The documents of a collection, by key. */
export type Documents = ReadonlyMap<string, Fields>;

/** A collection to replace. */
interface Target {
  readonly db: Db;
  readonly session: ClientSession;
  readonly collection: string;
  /** The current documents. */
  readonly before: Documents;
  /** The documents afterwards, at least one; some replacements ignore them. */
  readonly after: Documents;
}

/** Replaces the collection with the session's last write. Resolves to its new documents. */
type Replacement = (target: Target) => Promise<Documents>;

const NOTHING: Documents = new Map();
/** Collections that are not replicated. */
const STAGING = "staging";
const ATTIC = "attic";

const drop: Replacement = async ({ db, session, collection }) => {
  await db.dropCollection(collection, { session });
  return NOTHING;
};

const renameAway: Replacement = async ({ db, session, collection }) => {
  await db.renameCollection(collection, ATTIC, { session, dropTarget: true });
  return NOTHING;
};

const renameOnto: Replacement = async ({ db, session, collection, after }) => {
  await fill(db, after);
  await db.renameCollection(STAGING, collection, { session, dropTarget: true });
  return after;
};

const outOfAnother: Replacement = async ({ db, session, collection, after }) => {
  await fill(db, after);
  await db
    .collection(STAGING)
    .aggregate([{ $out: collection }], { session })
    .toArray();
  return after;
};

const outOfItself: Replacement = async ({ db, session, collection, before }) => {
  await db
    .collection(collection)
    .aggregate([{ $set: { out: true } }, { $out: collection }], { session })
    .toArray();
  return new Map([...before].map(([key, fields]) => [key, { ...fields, out: true }]));
};

async function fill(db: Db, documents: Documents): Promise<void> {
  await db.collection(STAGING).deleteMany({});
  await db.collection<{ _id: string }>(STAGING).insertMany([...documents].map(([_id, fields]) => ({ _id, ...fields })));
}

const ofAny: readonly Replacement[] = [renameOnto, outOfAnother];
/** Not for empty collections, which may not exist. */
const ofFilled: readonly Replacement[] = [...ofAny, drop, renameAway, outOfItself];

/** Replaces a collection in a random way with the session's last write. Resolves to its new documents. */
export async function replaceCollection(target: Target, random: Random): Promise<Documents> {
  const possible = target.before.size === 0 ? ofAny : ofFilled;
  const replacement = possible[Math.floor(random() * possible.length)] ?? renameOnto;
  return await replacement(target);
}
