// Random writes to few keys. Keeps the history of every key as the model to compare with.
import type { ClientSession, Collection, Db, MongoClient } from "mongodb";
import { ModelHistory } from "./model-history.ts";
import type { Fields } from "./model-history.ts";
import { replaceCollection } from "./model-replacement.ts";
import type { Random } from "./random.ts";

interface StoredDocument {
  _id: string;
  [field: string]: unknown;
}

interface ModelWriterOptions {
  readonly client: MongoClient;
  readonly db: Db;
  readonly random: Random;
  readonly collections: readonly string[];
  /** Number of keys per collection. */
  readonly keys: number;
  /** The share of steps that drop, rename or replace a whole collection. Default: none. */
  readonly replacements?: number;
}

/** Writes one after the other, so that the history of every key is known exactly. */
export class ModelWriter {
  operations = 0;
  readonly history = new ModelHistory();
  readonly #client: MongoClient;
  readonly #session: ClientSession;
  readonly #db: Db;
  readonly #random: Random;
  readonly #collections: readonly string[];
  readonly #keys: number;
  readonly #replacements: number;
  #burst: { readonly collection: string; readonly id: string; left: number } | undefined;

  constructor(options: ModelWriterOptions) {
    this.#client = options.client;
    this.#session = options.client.startSession({ causalConsistency: true });
    this.#db = options.db;
    this.#random = options.random;
    this.#collections = options.collections;
    this.#keys = options.keys;
    this.#replacements = options.replacements ?? 0;
  }

  /**
   * One random operation: insert, replace, set, unset, rename, delete, delete and re-insert, a transaction of some, or
   * a replacement of a whole collection.
   */
  async step(): Promise<void> {
    if (this.#replacements > 0 && this.#random() < this.#replacements) return this.#replace();
    if (this.#random() < 0.1) return this.#transaction();
    const change = this.#pick();
    await change.write(this.#session);
    this.#record(change, operationVersion(this.#session));
  }

  async close(): Promise<void> {
    await this.#session.endSession();
  }

  async #transaction(): Promise<void> {
    const session = this.#client.startSession();
    try {
      const changes = distinct([this.#pick(), this.#pick(), this.#pick()]).map((change) =>
        change.fields === null && this.#random() < 0.5 ? this.#withInsert(change) : change,
      );
      await session.withTransaction(async () => {
        for (const change of changes) await change.write(session);
      });
      for (const change of changes) this.#record(change, operationVersion(session));
    } finally {
      await session.endSession();
    }
  }

  #record({ target, id, fields }: Change, version: bigint): void {
    this.history.record(target.collectionName, id, { version, fields });
    this.operations++;
  }

  async #replace(): Promise<void> {
    const collection = this.#collections[this.#below(this.#collections.length)] ?? "";
    const before = this.history.documentsIn(collection);
    const after = new Map<string, Fields>();
    for (let left = 1 + this.#below(this.#keys); left > 0; left--)
      after.set(`key ${this.#below(this.#keys)}`, this.#randomFields(this.operations));
    const target = { db: this.#db, session: this.#session, collection, before, after };
    const documents = await replaceCollection(target, this.#random);
    this.history.replace(collection, operationVersion(this.#session), documents);
    this.operations++;
  }

  /** Usually a random key; sometimes the same key many times in a row. */
  #pickKey(): { collection: string; id: string } {
    if (this.#burst !== undefined && this.#burst.left-- > 0) return this.#burst;
    const collection = this.#collections[this.#below(this.#collections.length)] ?? "";
    const id = `key ${this.#below(this.#keys)}`;
    this.#burst = this.#random() < 0.01 ? { collection, id, left: 10 + this.#below(50) } : undefined;
    return { collection, id };
  }

  #pick(): Change {
    const { collection, id } = this.#pickKey();
    const key = `${collection}/${id}`;
    const current = this.history.fieldsOf(collection, id);
    const target = this.#db.collection<StoredDocument>(collection);
    return { key, target, id, ...this.#mutation(target, id, current) };
  }

  /** A delete and an insert of the same key, at the same time. */
  #withInsert({ key, target, id, write }: Change): Change {
    const fields = this.#randomFields(this.operations);
    const both = async (session: ClientSession): Promise<unknown> => {
      await write(session);
      return await target.insertOne({ _id: id, ...fields }, { session });
    };
    return { key, target, id, fields, write: both };
  }

  #mutation(target: Collection<StoredDocument>, id: string, current: Fields | null): Mutation {
    const n = this.operations;
    if (current === null) {
      const fields = this.#randomFields(n);
      return { fields, write: (session) => target.insertOne({ _id: id, ...fields }, { session }) };
    }
    switch (this.#below(6)) {
      case 0: {
        const fields = this.#randomFields(n);
        return { fields, write: (session) => target.replaceOne({ _id: id }, fields, { session }) };
      }
      case 1:
        return { fields: null, write: (session) => target.deleteOne({ _id: id }, { session }) };
      case 2: {
        const { text: _text, ...rest } = current;
        const fields = { ...rest, n };
        return {
          fields,
          write: (session) => target.updateOne({ _id: id }, { $set: { n }, $unset: { text: "" } }, { session }),
        };
      }
      case 3: {
        const { text, ...rest } = current;
        const fields = { ...rest, n, ...(text === undefined ? {} : { renamed: text }) };
        return {
          fields,
          write: (session) => target.updateOne({ _id: id }, { $set: { n }, $rename: { text: "renamed" } }, { session }),
        };
      }
      default: {
        const nested = { a: this.#below(1_000), b: "x".repeat(this.#below(200)) };
        const fields = { ...current, n, nested };
        return { fields, write: (session) => target.updateOne({ _id: id }, { $set: { n, nested } }, { session }) };
      }
    }
  }

  #randomFields(n: number): Fields {
    return {
      n,
      ...(this.#random() < 0.7 ? { text: `text ${this.#below(1e6)}` } : {}),
      ...(this.#random() < 0.5 ? { nested: { a: this.#below(1_000), b: "y" } } : {}),
    };
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

interface Mutation {
  readonly fields: Fields | null;
  readonly write: (session: ClientSession) => Promise<unknown>;
}

interface Change extends Mutation {
  readonly key: string;
  readonly target: Collection<StoredDocument>;
  readonly id: string;
}

/** A transaction changes each key once, so that each key has one state at that time. */
function distinct(changes: readonly Change[]): Change[] {
  return [...new Map(changes.map((change) => [change.key, change])).values()];
}

/** The cluster time of the session's last write. */
function operationVersion(session: ClientSession): bigint {
  const time = session.operationTime;
  if (time === undefined) throw new Error("the server gave no operationTime");
  return (BigInt(time.t) << 32n) | BigInt(time.i);
}
