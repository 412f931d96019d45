import type { Config } from "../config/config-schema.ts";
import { replicationOf } from "../config/replication.ts";
import type { TableName } from "../consumers/ports.ts";
import type { Replica } from "../consumers/upkeep/watermarks.ts";
import { collectionOf } from "../schemas/topics.ts";

/** The collection and the table of a topic; undefined for a topic of another pipeline or collection. */
export function replicaOf(config: Config, topic: string): Replica | undefined {
  const { name, mongodb, postgres } = config;
  const collection = collectionOf(name, mongodb.database, topic);
  if (collection === undefined) return undefined;
  const table = replicationOf(config, collection)?.table;
  return table === undefined ? undefined : { collection, table: { schema: postgres.schema, table } };
}

/** The table of a topic; undefined like `replicaOf`. */
export function tableOf(config: Config, topic: string): TableName | undefined {
  return replicaOf(config, topic)?.table;
}
