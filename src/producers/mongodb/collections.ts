import type { Db } from "mongodb";
import { HeadraceError } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import type { ClaimName } from "../../schemas/collection-names.ts";
import { isSelected, whyNotSelected } from "../../schemas/collection-selection.ts";
import type { CollectionSelection } from "../../schemas/collection-selection.ts";
import type { LeftOut } from "../order/left-out.ts";
import type { StreamEvent } from "../order/plan-images.ts";
import { isOfView, mongoError } from "./errors.ts";

/** The collections of a database that are replicated. */
export interface ReplicatedCollections {
  /** All that the database has, also others, but not MongoDB's own. */
  readonly existing: readonly string[];
  readonly names: readonly string[];
  /** Those of `names` that do not exist now. */
  readonly missing: readonly string[];
  /** Those that are not replicated, with the reason: named ones that cannot be, and others that cannot be or are not wanted. */
  readonly leftOut: ReadonlyMap<string, string>;
  /** Those of them that could be, but that the config's patterns do not want. */
  readonly unwanted: ReadonlySet<string>;
}

/**
 * Finds the collections to replicate.
 * @param claimName for collections that the config does not name: tells which names cannot be replicated
 */
export async function findCollections(
  db: Db,
  { named, others }: CollectionSelection,
  claimName: ClaimName,
): Promise<ReplicatedCollections> {
  const listed = await listCollections(db);
  const existing = listed.map(({ name }) => name).filter((name) => !isInternal(name));
  const unfit = new Map(listed.flatMap((info) => unfitness(info) ?? []));
  const isNamed = new Set(named);
  const unfitNamed = [...unfit].filter(([name]) => isNamed.has(name));
  const fitNamed = named.filter((name) => !unfit.has(name));
  const missing = fitNamed.filter((name) => !existing.includes(name));
  if (others === null)
    return { existing, names: fitNamed, missing, leftOut: new Map(unfitNamed), unwanted: new Set<string>() };
  const unnamed = [...new Set([...existing, ...unfit.keys()])].filter((name) => !isNamed.has(name)).toSorted();
  const unwanted = withReason(unnamed, (name) => whyNotSelected(name, others));
  const wanted = unnamed.filter((name) => !unwanted.has(name));
  // A name is claimed only by a collection that can be replicated.
  const refused = withReason(wanted, (name) => unfit.get(name) ?? claimName(name));
  const leftOut = new Map([...unfitNamed, ...unwanted, ...refused]);
  const taken = wanted.filter((name) => !refused.has(name));
  return { existing, names: [...fitNamed, ...taken], missing, leftOut, unwanted: new Set(unwanted.keys()) };
}

function withReason(names: readonly string[], whyNot: (name: string) => string | null): Map<string, string> {
  const reasons = names.map((name) => [name, whyNot(name)] as const);
  return new Map(reasons.filter((reason): reason is [string, string] => reason[1] !== null));
}

/** @throws HeadraceError COLLECTION_UNFIT for collections that the config names and that cannot be replicated */
export function requireFit({ leftOut }: ReplicatedCollections, { named }: CollectionSelection): void {
  const refusals = [...leftOut]
    .filter(([name]) => named.includes(name))
    .map(([name, why]) => `${quoted(name)}: ${why}`);
  if (refusals.length === 0) return;
  throw new HeadraceError("COLLECTION_UNFIT", {
    message: `These collections of the config cannot be replicated: ${refusals.join("; ")}.`,
  });
}

/** The first and the last `_id` of a collection in MongoDB's order, as raw BSON documents. Empty if the collection is. */
export async function readIdEnds(db: Db, collection: string): Promise<readonly Uint8Array[]> {
  const options = { raw: true, projection: { _id: 1 }, limit: 1, ...NOT_A_VIEW };
  try {
    const ends = await Promise.all(
      ([1, -1] as const).map((direction) =>
        db
          .collection(collection)
          .find({}, { ...options, sort: { _id: direction } })
          .toArray(),
      ),
    );
    return ends.flat() as unknown as Uint8Array[];
  } catch (error) {
    const failure = mongoError(error, `reading the collection ${quoted(collection)}`);
    if (isOfView(failure)) return [];
    throw failure;
  }
}

/** With this option MongoDB refuses to read a view, which may have got a collection's name. It has no other effect. */
export const NOT_A_VIEW = { allowPartialResults: true };

export async function isCapped(db: Db, collection: string): Promise<boolean> {
  return (await listCollections(db, collection)).some(({ options }) => options?.capped === true);
}

interface CollectionInfo {
  readonly name: string;
  readonly type?: string;
  readonly options?: { readonly capped?: boolean };
}

async function listCollections(db: Db, name?: string): Promise<CollectionInfo[]> {
  try {
    return await db.listCollections(name === undefined ? {} : { name }).toArray();
  } catch (error) {
    throw mongoError(error, "listing the collections");
  }
}

const VIEW = "it is a view";
const TIME_SERIES = "it is a time-series collection";

function unfitness({ name, type, options }: CollectionInfo): [[name: string, why: string]] | undefined {
  if (type === "view") return [[name, VIEW]];
  if (type === "timeseries") return [[name, TIME_SERIES]];
  if (/^system\.(?!views$|buckets\.)/.test(name)) return [[name, "it is one of MongoDB's own collections"]];
  return options?.capped === true && !isInternal(name)
    ? [[name, "it is capped, and MongoDB cannot read it at a given cluster time"]]
    : undefined;
}

/** Whether a collection is replicated if it can be. */
export function isReplicated(name: string, selection: CollectionSelection): boolean {
  if (selection.named.includes(name)) return true;
  return name !== "" && !isInternal(name) && isSelected(name, selection);
}

/**
 * MongoDB's own collections: `system.views`, `system.buckets.…`, and three kinds of temporary ones, which are then
 * renamed: of `$out`, of a rename from another database and of `convertToCapped` (seen with MongoDB 6.0). Also valid as
 * a `$regex`.
 */
export const INTERNAL_NAME = /^(system\.|tmp\.agg_out\.|tmp\w{5}\.(renameCollection$|convertToCapped\.))/;

function isInternal(name: string): boolean {
  return INTERNAL_NAME.test(name);
}

function quoted(name: string): string {
  return JSON.stringify(name);
}

export interface CollectionWatchOptions {
  readonly collections: CollectionSelection;
  readonly claimName: ClaimName;
  readonly logger: Logger;
  /** How often the database is looked at, ms: the change stream does not tell of new views. */
  readonly lookEveryMs?: number;
}

/** Events of a batch, without the documents of collections that cannot be replicated. */
export interface SiftedEvents {
  readonly events: readonly StreamEvent[];
  readonly leftOut: LeftOut;
}

const RENAMING: ReadonlySet<string> = new Set(["drop", "rename", "dropDatabase", "invalidate"]);

/**
 * Knows which collections cannot be replicated, also of those that are made while the stream is read. A collection gets
 * another kind only after a drop or a rename, which the stream tells, so the database is not looked at for each batch.
 */
export class CollectionWatch {
  readonly #db: Db;
  readonly #options: CollectionWatchOptions;
  readonly #told = new Set<string>();
  #fit: ReadonlySet<string> = new Set();
  #leftOut: ReadonlyMap<string, string> = new Map();
  #looksAt = 0;

  constructor(db: Db, options: CollectionWatchOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** Looks at the database. Logs one line for each collection that is left out or missing. */
  async look(): Promise<ReplicatedCollections> {
    const { collections, claimName, lookEveryMs = 60_000 } = this.#options;
    this.#looksAt = performance.now() + lookEveryMs;
    const found = await findCollections(this.#db, collections, claimName);
    this.#fit = new Set(found.names.filter((name) => !found.missing.includes(name)));
    this.#leftOut = found.leftOut;
    const { wanted = [], unwanted = [] } = Object.groupBy(found.leftOut, ([name]) =>
      found.unwanted.has(name) ? "unwanted" : "wanted",
    );
    this.#tell("info", unwanted, "collections are left out, as the config says");
    this.#tell("warn", wanted, "collections cannot be replicated and are left out");
    const missing = found.missing.map((name) => [name, "it does not exist"] as const);
    this.#tell("warn", missing, "collections of the config do not exist; waiting for them");
    return found;
  }

  async sift(events: readonly StreamEvent[]): Promise<SiftedEvents> {
    const before = this.#leftOut;
    if (performance.now() >= this.#looksAt || events.some((event) => this.#isUnsettled(event))) await this.look();
    const leftOut = this.#leftOut;
    const ended = new Set([...before.keys(), ...leftOut.keys()].filter((name) => !this.#fit.has(name)));
    const sifted = events.filter(({ operationType, collection }) => {
      return RENAMING.has(operationType) || (!leftOut.has(collection) && !this.#isRefused(collection));
    });
    return { events: sifted, leftOut: { reasons: leftOut, ended } };
  }

  /** Whether an event may be the first since its collection has got another kind. Views and time series have no events. */
  #isUnsettled({ operationType, collection }: StreamEvent): boolean {
    if (RENAMING.has(operationType)) return true;
    const why = this.#leftOut.get(collection);
    return why === undefined ? !this.#fit.has(collection) : why === VIEW || why === TIME_SERIES;
  }

  /** Whether the name of a collection that no longer exists cannot be replicated, or is not wanted. */
  #isRefused(collection: string): boolean {
    const { collections, claimName } = this.#options;
    if (this.#fit.has(collection) || collections.named.includes(collection)) return false;
    return !isReplicated(collection, collections) || claimName(collection) !== null;
  }

  #tell(level: "info" | "warn", reasons: readonly (readonly [name: string, why: string])[], message: string): void {
    const fresh = reasons.filter(([name, why]) => !this.#told.has(`${name}\0${why}`));
    if (fresh.length === 0) return;
    for (const [name, why] of fresh) this.#told.add(`${name}\0${why}`);
    this.#options.logger[level]({ collections: Object.fromEntries(fresh) }, message);
  }
}
