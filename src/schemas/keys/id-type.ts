import type { IdType } from "../mapping/mapping.ts";

/** The sources of a collection's `_id` type. Each gives undefined if it does not know the type. */
export interface IdTypeSources {
  /** The config's `idType`. */
  readonly declared: IdType | undefined;
  /** The key schema in the registry (`registeredIdType`). */
  readonly registered: () => Promise<IdType | undefined>;
  /** The collection's documents (`idTypeOfDocuments`). */
  readonly found: () => Promise<IdType | undefined>;
}

/**
 * The `_id` type of a collection: the declared type, otherwise the registered type, otherwise the type of its documents.
 * The registry comes before the documents, because published keys keep their type when documents with other `_id`s
 * appear.
 * @returns undefined for a new collection without documents
 */
export async function collectionIdType({ declared, registered, found }: IdTypeSources): Promise<IdType | undefined> {
  return declared ?? (await registered()) ?? (await found());
}
