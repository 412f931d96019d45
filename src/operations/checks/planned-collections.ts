import type { CollectionConfig } from "../../config/collections-schema.ts";
import type { Config } from "../../config/config-schema.ts";
import { errorCode } from "../../errors/error.ts";
import { collectionIdType } from "../../schemas/keys/id-type.ts";
import { collectionSchema } from "../../schemas/mapping/collection-schema.ts";
import type { CollectionSchema, RegisteredDefinitions } from "../../schemas/mapping/collection-schema.ts";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import { registeredIdType } from "../../schemas/registry/registry.ts";
import type { SchemaRegistry } from "../../schemas/registry/registry.ts";
import { topicOf } from "../../schemas/topics.ts";

/** A collection as the pipeline will replicate it, as far as a check can know it. */
export interface PlannedCollection {
  readonly config: CollectionConfig;
  /** Undefined for an empty collection if neither the config nor the registry has its `_id` type. */
  readonly idType: IdType | undefined;
  /** ID_TYPE_CHANGED if the config's `_id` type is not the registered one. */
  readonly problem: unknown;
}

/**
 * The collections with the `_id` types that the producer would give them.
 * @param found the types that the collections themselves have. If the registry does not answer, its types are left out
 */
export async function planCollections(
  config: Config,
  collections: readonly CollectionConfig[],
  { registry, found }: { registry: SchemaRegistry; found: ReadonlyMap<string, IdType | undefined> },
): Promise<readonly PlannedCollection[]> {
  return Promise.all(
    collections.map(async (collection) => {
      const { mapping } = collection;
      const sources = {
        declared: mapping.idType,
        registered: () => idTypeAtRegistry(config, mapping.collection, registry),
        found: async () => found.get(mapping.collection),
      };
      try {
        return { config: collection, idType: await collectionIdType(mapping.collection, sources), problem: null };
      } catch (error) {
        if (errorCode(error) !== "ID_TYPE_CHANGED") throw error;
        return { config: collection, idType: mapping.idType, problem: error };
      }
    }),
  );
}

/** The schemas of a collection whose `_id`s have this type. */
export function schemaOf(
  config: Config,
  { mapping }: CollectionConfig,
  idType: IdType,
  registered?: RegisteredDefinitions,
): CollectionSchema {
  const { name } = config;
  const { database } = config.mongodb;
  const topic = topicOf(name, database, mapping.collection);
  return collectionSchema(mapping, idType, { name, database, topic }, registered);
}

async function idTypeAtRegistry(
  { name, mongodb }: Config,
  collection: string,
  registry: SchemaRegistry,
): Promise<IdType | undefined> {
  try {
    return await registeredIdType(registry, topicOf(name, mongodb.database, collection));
  } catch {
    // The checks of the registry itself report this error.
    return undefined;
  }
}
