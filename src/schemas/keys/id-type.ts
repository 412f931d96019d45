import type { IdType } from "../mapping/mapping.ts";

/** The places that may tell the type of a collection's `_id`. Each gives undefined if it does not know. */
export interface IdTypeSources {
  /** The config's `idType`. */
  readonly declared: IdType | undefined;
  /** The key schema in the registry (`registeredIdType`). */
  readonly registered: () => Promise<IdType | undefined>;
  /** The collection itself (`idTypeOf`). */
  readonly found: () => Promise<IdType | undefined>;
}

/**
 * The type of a collection's `_id`: as declared, else as registered, else as the collection has it. The registry goes
 * before the collection, because keys that are already published must keep their type when other `_id`s come.
 * @returns undefined for a collection that is empty and new
 */
export async function collectionIdType({ declared, registered, found }: IdTypeSources): Promise<IdType | undefined> {
  return declared ?? (await registered()) ?? (await found());
}
