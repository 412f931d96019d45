import type { Config } from "../config/config-schema.ts";
import type { TableName } from "../consumers/ports.ts";
import { collectionOf } from "../schemas/topics.ts";

/** The table of a topic; undefined where the topic is not one of a collection that is replicated. */
export function tableOf({ name, mongodb, postgres, collections }: Config, topic: string): TableName | undefined {
  const collection = collectionOf(name, mongodb.database, topic);
  if (collection === undefined) return undefined;
  const table = collections === undefined ? collection : collections[collection]?.table;
  return table === undefined ? undefined : { schema: postgres.schema, table };
}
