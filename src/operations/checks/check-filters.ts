import type { Db } from "mongodb";
import type { CollectionMapping } from "../../schemas/mapping/mapping.ts";
import { HeadraceError } from "../../errors/error.ts";
import { mongoError } from "../../producers/mongodb/errors.ts";
import { parseFilter } from "../../schemas/filter.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";

/** Checks that MongoDB takes the filters: each gets a plan, and nothing is read. No result where there are none. */
export async function checkFilters(db: Db, mappings: readonly CollectionMapping[]): Promise<readonly CheckResult[]> {
  const filtered = mappings.filter(({ filter }) => filter !== undefined);
  if (filtered.length === 0) return [];
  const result = await runCheck("mongodb", "takes the filters of the config", async () => {
    const refusals = (await Promise.all(filtered.map((mapping) => refusalOf(db, mapping)))).flatMap((each) => each ?? []);
    if (refusals.length > 0) throw new HeadraceError("FILTER_REFUSED", { message: refusals.join(" ") });
  });
  return [result];
}

/** Null if MongoDB takes the filter. It only plans, so its words can quote no document. */
async function refusalOf(db: Db, { collection, filter = "{}" }: CollectionMapping): Promise<string | null> {
  try {
    await db.command({ explain: { find: collection, filter: parseFilter(filter) }, verbosity: "queryPlanner" });
    return null;
  } catch (error) {
    const failure = mongoError(error, `asking about the filter of ${JSON.stringify(collection)}`);
    if (failure.code !== "MONGODB_UNEXPECTED") throw failure;
    const reason = error instanceof Error ? error.message : String(error);
    return `MongoDB refuses the filter of ${JSON.stringify(collection)}: ${reason.replace(/\.?$/, ".")}`;
  }
}
