import type { Db } from "mongodb";
import type { Config } from "../../config/config-schema.ts";
import { otherCollection, replicationOf } from "../../config/replication.ts";
import { HeadraceError } from "../../errors/error.ts";
import { mongoError } from "../../producers/mongodb/errors.ts";
import { matchingBoth, parseFilter } from "../../schemas/filter.ts";
import type { CollectionMapping } from "../../schemas/mapping/mapping.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";

/**
 * Checks that MongoDB takes the filters: each gets a plan, and nothing is read. No result where there are none.
 * @param found the collections that are replicated, as far as the database has them
 */
export async function checkFilters(db: Db, config: Config, found: readonly string[]): Promise<readonly CheckResult[]> {
  const filtered = filteredMappings(config, found);
  if (filtered.length === 0) return [];
  const result = await runCheck("mongodb", "takes the filters of the config", async () => {
    const refusals = (await Promise.all(filtered.map((mapping) => refusalOf(db, mapping)))).flatMap(
      (each) => each ?? [],
    );
    if (refusals.length > 0) throw new HeadraceError("FILTER_REFUSED", { message: refusals.join(" ") });
  });
  return [result];
}

/** One for each filter: that of `"*"` is the same for all its collections, and may still have none. */
function filteredMappings(config: Config, found: readonly string[]): readonly CollectionMapping[] {
  const named = [...(config.collections?.values() ?? [])].map(({ mapping }) => mapping);
  const other = found.find(
    (name) => config.collections?.has(name) !== true && replicationOf(config, name) !== undefined,
  );
  const hasOthers = (config.collections?.others ?? null) !== null;
  const others = hasOthers ? [otherCollection(config, other ?? "*").mapping] : [];
  return [...named, ...others].filter(({ filter }) => filter !== undefined);
}

/** Null if MongoDB takes the filter. It only plans, so its words can quote no document. */
async function refusalOf(db: Db, { collection, filter = "{}" }: CollectionMapping): Promise<string | null> {
  const query = matchingBoth({ _id: { $in: [] } }, parseFilter(filter));
  try {
    await db.command({ explain: { find: collection, filter: query }, verbosity: "queryPlanner" });
    return null;
  } catch (error) {
    const failure = mongoError(error, `asking about the filter of ${JSON.stringify(collection)}`);
    if (failure.code !== "MONGODB_UNEXPECTED") throw failure;
    const reason = error instanceof Error ? error.message : String(error);
    return `MongoDB refuses the filter of ${JSON.stringify(collection)}: ${reason.replace(/\.?$/, ".")}`;
  }
}
