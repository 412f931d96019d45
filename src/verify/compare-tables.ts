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
import { comparedChildren } from "./values/child-tables.ts";

/** Both sides of a pipeline, and how to ask about it. */
export interface ComparedPipeline {
  readonly db: Db;
  /** A connection for this comparison alone. */
  readonly client: ClientBase;
  /** The schema of the tables in PostgreSQL. */
  readonly schema: string;
  readonly nulCharacters: NulCharacters;
  /** The `_id` type in the registry; undefined if nothing of the collection was replicated yet. */
  readonly idTypeOf: (collection: string) => Promise<IdType | undefined>;
  /**
   * Waits until the tables have everything that was in MongoDB when the wait began, and gives that cluster time; null if
   * it took too long.
   */
  readonly waitUntilCaughtUp: () => Promise<Version | null>;
  /** Those of the keys that have an open dead letter. */
  readonly openDeadLetters: (
    collection: string,
    findings: ReadonlyMap<string, Finding>,
  ) => Promise<ReadonlySet<string>>;
  /** Called with the keys that differ, without those that have an open dead letter. */
  readonly found?: ((collection: string, idType: IdType, findings: ReadonlyMap<string, Finding>) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Compares collections with their tables, one after the other, by key and by value. @throws HeadraceError */
export async function compareTables(
  pipeline: ComparedPipeline,
  collections: readonly CollectionConfig[],
): Promise<VerifyResult> {
  let caughtUp: boolean | null = null;
  const waiting: ComparedPipeline = {
    ...pipeline,
    async waitUntilCaughtUp() {
      // After one timeout it does not wait again: the pipeline does not run, or is far behind.
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
  const { collection, filter } = mapping;
  const documents = new DocumentReader(db, collection, { filter, signal });
  const idType = await idTypeToCompare(pipeline, mapping, documents);
  const tally = new CollectionTally();
  const children = comparedChildren(mapping);
  const reader = await TableReader.open(client, { schema, table, suffixes: children.map(({ suffix }) => suffix) });
  const counts = await checkCollection({
    mapping,
    children,
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
    recordOrphans(keys) {
      const orphans = new Map<string, Finding>(keys.map((key) => [key, { kind: "orphaned" }]));
      // No record of the pipeline leaves orphans, so no dead letter explains them.
      for (const [key, finding] of orphans) tally.add(key, finding, false);
      pipeline.found?.(collection, idType, orphans);
    },
  });
  return tally.result({ collection, table: `${schema}.${table}`, ...counts });
}

/** `mixed` if the type stays unknown: every `_id` has a key of this type. */
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
  return (await collectionIdType(collection, { declared, registered, found })) ?? "mixed";
}
