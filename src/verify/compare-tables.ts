import type { Db } from "mongodb";
import type { ClientBase } from "pg";
import type { CollectionConfig } from "../config/collections-schema.ts";
import type { Version } from "../schemas/change-event.ts";
import { collectionIdType } from "../schemas/keys/id-type.ts";
import type { CollectionMapping, IdType, NulCharacters } from "../schemas/mapping/mapping.ts";
import { checkCollection } from "./compare-collection.ts";
import type { Finding } from "./compare-rows.ts";
import { DocumentReader } from "./document-reader.ts";
import { CollectionTally, isEqual } from "./result.ts";
import type { CollectionResult, VerifyResult } from "./result.ts";
import { TableReader } from "./table-reader.ts";

/** Both sides of a pipeline, and what is to be known of it. */
export interface ComparedPipeline {
  readonly db: Db;
  /** A connection for this alone: settings of its session are changed. */
  readonly client: ClientBase;
  /** PostgreSQL's. */
  readonly schema: string;
  readonly nulCharacters: NulCharacters;
  /** As registered; undefined where nothing of the collection was replicated yet. */
  readonly idTypeOf: (collection: string) => Promise<IdType | undefined>;
  /**
   * Waits until everything that was in MongoDB at the call is in the tables, and gives a cluster time up to which that
   * is so; null where it has given up.
   */
  readonly waitUntilCaughtUp: () => Promise<Version | null>;
  /** Which of these keys have a dead letter that is open. */
  readonly openDeadLetters: (
    collection: string,
    findings: ReadonlyMap<string, Finding>,
  ) => Promise<ReadonlySet<string>>;
  /** Told of what is wrong, but for keys with an open dead letter. */
  readonly found?: ((collection: string, idType: IdType, findings: ReadonlyMap<string, Finding>) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Compares collections with their tables, one after the other, by key and by value. */
export async function compareTables(
  pipeline: ComparedPipeline,
  collections: readonly CollectionConfig[],
): Promise<VerifyResult> {
  let caughtUp: boolean | null = null;
  const waiting: ComparedPipeline = {
    ...pipeline,
    async waitUntilCaughtUp() {
      // Once in vain is enough: it does not run, or is far behind.
      const time = caughtUp === false ? null : await pipeline.waitUntilCaughtUp();
      caughtUp = time !== null;
      return time;
    },
  };
  const results: CollectionResult[] = [];
  for (const collection of collections) results.push(await compareTable(waiting, collection));
  return { equal: results.every(isEqual), caughtUp, collections: results };
}

async function compareTable(
  pipeline: ComparedPipeline,
  { table, mapping }: CollectionConfig,
): Promise<CollectionResult> {
  const { db, client, schema, signal } = pipeline;
  const { collection } = mapping;
  const documents = new DocumentReader(db, collection, { signal });
  const idType = await idTypeToCompare(pipeline, mapping, documents);
  const tally = new CollectionTally();
  const reader = await TableReader.open(client, schema, table);
  const counts = await checkCollection({
    mapping,
    idType,
    nulText: pipeline.nulCharacters === "strip" ? "" : "\ufffd",
    documents,
    table: reader,
    async waitUntilCaughtUp() {
      const time = await pipeline.waitUntilCaughtUp();
      await reader.lookAgain();
      return time;
    },
    async record(findings) {
      const deadLettered = await pipeline.openDeadLetters(collection, findings);
      for (const [key, finding] of findings) tally.add(key, finding, deadLettered.has(key));
      pipeline.found?.(collection, idType, new Map([...findings].filter(([key]) => !deadLettered.has(key))));
    },
  });
  return tally.result({ collection, table: `${schema}.${table}`, ...counts });
}

/** `mixed` if the type stays unknown: it has a name for every `_id`. */
async function idTypeToCompare(
  { idTypeOf, waitUntilCaughtUp }: ComparedPipeline,
  { collection, idType: declared }: CollectionMapping,
  documents: DocumentReader,
): Promise<IdType> {
  const registered = () => idTypeOf(collection);
  // The producer registers the type that it finds in the collection.
  const found = async () => {
    if (await documents.isEmpty()) return undefined;
    await waitUntilCaughtUp();
    return registered();
  };
  return (await collectionIdType({ declared, registered, found })) ?? "mixed";
}
