// What ends a collection as it was, without an event for each of its documents.
import type { ClientSession, Db } from "mongodb";
import type { Fields } from "./model-history.ts";
import type { Random } from "./random.ts";

/** The documents of a collection, by key. */
export type Documents = ReadonlyMap<string, Fields>;

/** A collection that is to be replaced. */
interface Target {
  readonly db: Db;
  readonly session: ClientSession;
  readonly collection: string;
  /** What it holds. */
  readonly before: Documents;
  /** What it may hold afterwards, with more keys than none. */
  readonly after: Documents;
}

/** Makes the replacement with its last write in the session, and gives what the collection then holds. */
type Replacement = (target: Target) => Promise<Documents>;

const NOTHING: Documents = new Map();
/** Collections that nobody replicates. */
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
/** One without documents may not exist. */
const ofFilled: readonly Replacement[] = [...ofAny, drop, renameAway, outOfItself];

/** Replaces a collection in a random way: the session's last write is what does it. Gives what it then holds. */
export async function replaceCollection(target: Target, random: Random): Promise<Documents> {
  const possible = target.before.size === 0 ? ofAny : ofFilled;
  const replacement = possible[Math.floor(random() * possible.length)] ?? renameOnto;
  return await replacement(target);
}
