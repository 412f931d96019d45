import type { CollectionConfig } from "../../config/collections-schema.ts";
import type { Config } from "../../config/config-schema.ts";
import { collectionIdType } from "../../schemas/keys/id-type.ts";
import { collectionSchema } from "../../schemas/mapping/collection-schema.ts";
import type { CollectionSchema } from "../../schemas/mapping/collection-schema.ts";
import type { IdType } from "../../schemas/mapping/mapping.ts";
import { registeredIdType } from "../../schemas/registry/registry.ts";
import type { SchemaRegistry } from "../../schemas/registry/registry.ts";
import { topicOf } from "../../schemas/topics.ts";

/** A collection as the pipeline will replicate it, as far as a check can know it. */
export interface PlannedCollection {
  readonly config: CollectionConfig;
  /** Undefined for an empty collection if neither the config nor the registry has its `_id` type. */
  readonly idType: IdType | undefined;
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
      const idType = await collectionIdType({
        declared: mapping.idType,
        registered: () => idTypeAtRegistry(config, mapping.collection, registry),
        found: async () => found.get(mapping.collection),
      });
      return { config: collection, idType };
    }),
  );
}

/** The schemas of a collection whose `_id`s have this type. */
export function schemaOf(config: Config, { mapping }: CollectionConfig, idType: IdType): CollectionSchema {
  const { name } = config;
  const { database } = config.mongodb;
  return collectionSchema(mapping, idType, { name, database, topic: topicOf(name, database, mapping.collection) });
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
