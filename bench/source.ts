import { MongoClient } from "mongodb";
import type { Db, Document } from "mongodb";
import type { Stack } from "../dev/stack/types.ts";
import { load } from "./load.ts";
import { product } from "./product.ts";

/** The documents of a collection to copy. */
export interface Source {
  readonly documents: number;
  readonly make: (number: number) => Document;
  readonly bytesEach?: number;
}

export const COLLECTION = "products";

export const manyProducts = (documents: number): Source => ({ documents, make: product });

/** Loads the documents into the collection `products` of a new database, which is dropped after `work`. */
export async function withSource<T>(
  { mongodbUri }: Pick<Stack, "mongodbUri">,
  { documents, make, bytesEach }: Source,
  work: (db: Db) => Promise<T>,
): Promise<T> {
  await using client = await new MongoClient(mongodbUri).connect();
  const db = client.db(`headrace_bench_source_${Date.now()}`);
  try {
    await load(db.collection(COLLECTION), documents, make, bytesEach);
    return await work(db);
  } finally {
    await db.dropDatabase();
  }
}
