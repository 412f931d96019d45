import type { Config } from "../../config/config-schema.ts";
import { takesOthers } from "../../config/replication.ts";
import { hasTable, tablesOfDeadLetters } from "../../consumers/dead-letters/queries.ts";
import { HeadraceError } from "../../errors/error.ts";
import { listTopics } from "../../kafka/topics.ts";
import type { DeadLetterAccess } from "../dead-letter-access.ts";
import { tableOf } from "../tables.ts";

/**
 * Checks that dead letters can be of a table. Without that, a mistyped table looks like one without dead letters.
 * @param table `table` or `schema.table`; undefined: all are wanted
 * @throws HeadraceError UNKNOWN_TABLE if the config does not have it, and no dead letter, not even a closed one, is of it
 */
export async function requireTable(
  access: DeadLetterAccess,
  config: Config,
  table: string | undefined,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  if (table === undefined) return;
  const replicated = await replicatedTables(access, config);
  if (replicated.some((each) => hasTable(each, table))) return;
  // The collection may have been taken out of the config.
  const known = new Set([...replicated, ...(await tablesOfDeadLetters(access, options))]);
  if ([...known].some((each) => hasTable(each, table))) return;
  const tables = known.size === 0 ? "none yet" : [...known].toSorted().join(", ");
  throw new HeadraceError("UNKNOWN_TABLE", {
    message: `No dead letter and no collection of the config has the table ${JSON.stringify(table)}.`,
    remedy: `Give --table one of these: ${tables}.`,
  });
}

async function replicatedTables({ kafka }: DeadLetterAccess, config: Config): Promise<readonly string[]> {
  const { collections, postgres } = config;
  const named = [...(collections?.values() ?? [])].map(({ table }) => `${postgres.schema}.${table}`);
  if (!takesOthers(config)) return named;
  const topics = await listTopics(kafka, (topic) => tableOf(config, topic) !== undefined);
  const found = topics
    .flatMap((topic) => tableOf(config, topic) ?? [])
    .map(({ schema, table }) => `${schema}.${table}`);
  return [...new Set([...named, ...found])];
}
