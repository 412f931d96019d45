import { WHOLE_DATABASE, isSelected } from "../schemas/collection-selection.ts";
import type { CollectionSelection } from "../schemas/collection-selection.ts";
import { childSuffixes, childTableName } from "../schemas/mapping/column-names.ts";
import { collectionConfig } from "./collections-schema.ts";
import type { CollectionConfig } from "./collections-schema.ts";
import type { Config } from "./config-schema.ts";
import { withHashKey } from "./redaction.ts";

type Collections = Pick<Config, "collections">;

/** Consumers ask for each batch. */
const known = new WeakMap<object, CollectionSelection>();

/** Which collections the config replicates. */
export function selectionOf({ collections }: Collections): CollectionSelection {
  if (collections === undefined) return WHOLE_DATABASE;
  const selection = known.get(collections) ?? makeSelection(collections);
  known.set(collections, selection);
  return selection;
}

function makeSelection(collections: NonNullable<Collections["collections"]>): CollectionSelection {
  const named = [...collections.keys()];
  if (collections.others === null) return { named, others: null };
  const tables = new Map([...collections].flatMap(([name, config]) => tablesOf(config).map((table) => [table, name])));
  const { include = null, exclude = [] } = collections.others;
  return { named, others: { include, exclude, tables } };
}

function tablesOf({ table, mapping }: CollectionConfig): readonly string[] {
  return [table, ...childSuffixes(mapping).map((suffix) => childTableName(table, suffix))];
}

/** Whether the config replicates collections that it does not name. */
export function takesOthers({ collections }: Collections): boolean {
  return collections === undefined || collections.others !== null;
}

/** How a collection is replicated; undefined if it is not. */
export function replicationOf(config: Collections, collection: string): CollectionConfig | undefined {
  const { collections } = config;
  const named = collections?.get(collection);
  if (named !== undefined) return named;
  return isSelected(collection, selectionOf(config)) ? otherCollection(config, collection) : undefined;
}

/** How a collection that the config does not name is replicated, if it is. */
export function otherCollection({ collections }: Collections, collection: string): CollectionConfig {
  const { table, mapping } = collectionConfig(collection, collections?.others ?? {});
  return { table, mapping: withHashKey(mapping, collections?.hashKey ?? "") };
}
