import { BenchPipeline } from "../bench-pipeline.ts";
import { load } from "../load.ts";
import { PRODUCT_COLUMNS, product } from "../product.ts";
import type { BenchContext } from "../scenario.ts";
import { latencyOf } from "../statistics.ts";
import { DOCUMENTS, measure } from "./latency.ts";
import { cpuShares } from "./trickle.ts";

const COLLECTION = "products";
const INTERVALS_MS = [0, 5, 10, 20, 50];
const RATE = 200;
const WARM_UP_MS = 10_000;
const DURATION_MS = 30_000;

/** What `kafka.transactionIntervalMs` does at 200 updates/s: latency, and how much of a core everything takes, in percent. */
export async function intervals({ stack, scale, report }: BenchContext): Promise<object> {
  const figures: Record<string, object> = {};
  for (const transactionIntervalMs of INTERVALS_MS) {
    await using pipeline = await BenchPipeline.create(stack, {
      collections: { [COLLECTION]: { columns: PRODUCT_COLUMNS } },
      transactionIntervalMs,
    });
    const collection = pipeline.db.collection(COLLECTION);
    await load(collection, DOCUMENTS, product);
    pipeline.start();
    await pipeline.untilRows(COLLECTION, DOCUMENTS);
    const probe = { collection, pool: pipeline.target, table: pipeline.table(COLLECTION) };
    await measure(probe, RATE, WARM_UP_MS * scale);
    let times: readonly number[] = [];
    const cpu = await cpuShares(pipeline, async () => {
      times = await measure(probe, RATE, DURATION_MS * scale);
    });
    figures[transactionIntervalMs] = { ...latencyOf(times), cpu };
    report(`${transactionIntervalMs} ms: ${JSON.stringify(figures[transactionIntervalMs])}`);
    await pipeline.stop();
  }
  return figures;
}
