import type { BenchContext } from "./scenario.ts";
import { latency } from "./scenarios/latency.ts";
import { measureCopy, products } from "./scenarios/snapshot.ts";

const DOCUMENTS = 300_000;

/** Until figures no longer rise. */
const COPIES = 3;

/**
 * A round that is not counted. Servers that have just been started are slower than those of any user: the broker's code
 * is not compiled yet (p50 at 200 updates/s was 26 ms, and 15 ms after this round), and PostgreSQL makes its WAL's files.
 */
export async function warmUp(context: Omit<BenchContext, "runs" | "scale">): Promise<void> {
  const quiet = { ...context, report: () => {} };
  await measureCopy({ ...quiet, runs: COPIES, scale: 1 }, products(DOCUMENTS));
  await latency({ ...quiet, runs: 1, scale: 1 / 3 });
}
