import { MongoServerError, ReadPreference } from "mongodb";
import type { AbstractCursor, Db, Document } from "mongodb";
import { HeadraceError } from "../errors/error.ts";
import { findCollections } from "../producers/mongodb/collections.ts";
import { mongoError } from "../producers/mongodb/errors.ts";
import { WHOLE_DATABASE } from "../schemas/collection-selection.ts";
import { TopicNames } from "../schemas/topics.ts";
import { DocumentSummary } from "./propose/field-summary.ts";
import type { SampledCollection } from "./propose/propose-tables.ts";

export interface SampleOptions {
  /** The pipeline's name. */
  readonly pipeline: string;
  /** Collections that the pipeline has already. */
  readonly established: readonly string[];
  readonly limits: SampleLimits;
  readonly signal: AbortSignal;
  /** Called with each document that was read. */
  readonly onDocument?: (collection: string, document: Buffer) => void;
}

/** What is read of each collection at most. */
export interface SampleLimits {
  readonly documents: number;
  readonly bytes: number;
  /** How long the server may work on a sample. */
  readonly timeMs: number;
}

export const SAMPLE_LIMITS: SampleLimits = { documents: 1_000, bytes: 256 * 1024 * 1024, timeMs: 30_000 };

export interface SampledDatabase {
  /** All that the database has, also those that cannot be replicated. */
  readonly existing: readonly string[];
  readonly collections: readonly SampledCollection[];
  /** The collections that cannot be replicated, with the reason. */
  readonly leftOut: ReadonlyMap<string, string>;
}

/**
 * Reads documents of every collection of a database that can be replicated. Reads from a secondary where there is one; a
 * read preference of the connection string other than `primary` holds. Holds one reply of the server at a time in memory.
 * @throws HeadraceError
 */
export async function sampleDatabase(db: Db, options: SampleOptions): Promise<SampledDatabase> {
  const topics = new TopicNames(options.pipeline, db.databaseName);
  for (const name of options.established) topics.claim(name);
  const { existing, names, leftOut } = await findCollections(
    db,
    WHOLE_DATABASE,
    (name) => nameComplaint(name) ?? topics.claim(name)?.message ?? null,
  );
  const collections: SampledCollection[] = [];
  for (const name of names) {
    try {
      collections.push(await sampleCollection(db, name, options));
    } catch (error) {
      options.signal.throwIfAborted();
      throw mongoError(error, `sampling the collection ${JSON.stringify(name)}`);
    }
  }
  return { existing, collections, leftOut };
}

/** Why a config cannot name a collection. */
function nameComplaint(name: string): string | null {
  if (name.includes("$")) return "its name has a $";
  return name === "*" ? 'in the config, "*" stands for all collections that are not named' : null;
}

async function sampleCollection(db: Db, name: string, options: SampleOptions): Promise<SampledCollection> {
  const { limits, signal, onDocument } = options;
  const summary = new DocumentSummary();
  let unreadable = 0;
  const visit = (document: Buffer): void => {
    try {
      summary.add(document);
      onDocument?.(name, document);
    } catch (error) {
      if (!(error instanceof HeadraceError) || error.code !== "DOCUMENT_UNENCODABLE") throw error;
      unreadable++;
    }
  };
  const reader = new SampleReader(db, name, limits, signal);
  const isRandom = await reader.read(visit);
  return { name, summary, isRandom, unreadable };
}

class SampleReader {
  readonly #db: Db;
  readonly #name: string;
  readonly #limits: SampleLimits;
  readonly #signal: AbortSignal;
  #documents = 0;
  #bytes = 0;

  constructor(db: Db, name: string, limits: SampleLimits, signal: AbortSignal) {
    this.#db = db;
    this.#name = name;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** @returns false if a random sample took too long, so that the first and the last documents were read instead */
  async read(visit: (document: Buffer) => void): Promise<boolean> {
    if (await this.#drain(this.#random(), visit)) return true;
    const half = Math.ceil(this.#limits.documents / 2);
    const isRead = await this.#drain(this.#end(1, half), visit);
    if ((await this.#drain(this.#end(-1, half), visit)) || isRead) return false;
    throw new HeadraceError("MONGODB_UNAVAILABLE", {
      message: `MongoDB did not give any document of the collection ${JSON.stringify(this.#name)} within ${this.#limits.timeMs / 1000} s.`,
    });
  }

  /** @returns false if the server gave up before it gave a document */
  async #drain(cursor: AbstractCursor<Document>, visit: (document: Buffer) => void): Promise<boolean> {
    const before = this.#documents;
    try {
      for await (const document of cursor) {
        this.#signal.throwIfAborted();
        const bytes = asBuffer(document as Uint8Array);
        this.#documents++;
        this.#bytes += bytes.length;
        visit(bytes);
        if (this.#bytes >= this.#limits.bytes) break;
      }
      return true;
    } catch (error) {
      if (!isOutOfTime(error)) throw error;
      return this.#documents > before;
    } finally {
      await cursor.close();
    }
  }

  #random(): AbstractCursor<Document> {
    // A large sample of a small collection is sorted, and the server allows 100 MB of memory for that.
    const options = { ...this.#options(), allowDiskUse: true };
    return this.#db.collection(this.#name).aggregate([{ $sample: { size: this.#limits.documents } }], options);
  }

  #end(direction: 1 | -1, limit: number): AbstractCursor<Document> {
    return this.#db.collection(this.#name).find({}, { ...this.#options(), sort: { _id: direction }, limit });
  }

  #options() {
    const { mode } = this.#db.readPreference ?? ReadPreference.primary;
    const readPreference = mode === "primary" ? ReadPreference.secondaryPreferred : this.#db.readPreference;
    return { raw: true, maxTimeMS: this.#limits.timeMs, signal: this.#signal, readPreference };
  }
}

/** MongoDB's MaxTimeMSExpired. */
function isOutOfTime(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === 50;
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
