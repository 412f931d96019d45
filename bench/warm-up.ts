import type { BenchContext } from "./scenario.ts";
import { latency } from "./scenarios/latency.ts";
import { measureCopy, products } from "./scenarios/snapshot.ts";

const DOCUMENTS = 300_000;

/** After so many copies, the figures no longer rise. */
const COPIES = 3;

/**
 * A round that is not counted. Servers that have just started are slower than those of users: Java has not compiled the
 * broker's code yet, and PostgreSQL has to create its WAL files (docs/performance.md has the figures).
 */
export async function warmUp(context: Omit<BenchContext, "runs" | "scale">): Promise<void> {
  const quiet = { ...context, report: () => {} };
  await measureCopy({ ...quiet, runs: COPIES, scale: 1 }, products(DOCUMENTS));
  await latency({ ...quiet, runs: 1, scale: 1 / 3 });
}
