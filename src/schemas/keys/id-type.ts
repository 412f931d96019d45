import { HeadraceError } from "../../errors/error.ts";
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
 * @throws HeadraceError ID_TYPE_CHANGED if the declared type is not the registered one
 */
export async function collectionIdType(
  collection: string,
  { declared, registered, found }: IdTypeSources,
): Promise<IdType | undefined> {
  const known = await registered();
  if (declared !== undefined && known !== undefined && declared !== known)
    throw idTypeChanged(collection, known, declared);
  return known ?? declared ?? (await found());
}

function idTypeChanged(collection: string, known: IdType, declared: IdType): HeadraceError {
  return new HeadraceError("ID_TYPE_CHANGED", {
    message: `The config gives the collection ${JSON.stringify(collection)} the idType ${declared}, but its records have keys for "_id"s of type ${known}.`,
  });
}
