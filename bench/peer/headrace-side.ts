import { BenchPipeline } from "../bench-pipeline.ts";
import { cpuTimesOf } from "../cpu-time.ts";
import { PRODUCT_COLUMNS } from "../product.ts";
import { COLLECTION, PARTITIONS } from "./side.ts";
import type { PeerBench, Side } from "./side.ts";

const { dims: _, ...SIMPLE } = PRODUCT_COLUMNS;
/** Those that the peer makes: it flattens `dims`. */
const COLUMNS = {
  ...SIMPLE,
  ...Object.fromEntries(
    ["w", "h", "d"].map((name) => [`dims_${name}`, { path: `dims.${name}`, type: "double precision" }]),
  ),
};

/** Headrace's two processes, which `start` starts. */
export async function headraceSide({ stack }: PeerBench, database: string): Promise<Side> {
  const collections = { [COLLECTION]: { columns: COLUMNS } };
  const pipeline = await BenchPipeline.create(stack, { database, collections, partitions: PARTITIONS });
  const pids = (): readonly number[] => [...pipeline.pids.produce, ...pipeline.pids.consume];
  return {
    table: pipeline.table(COLLECTION),
    start: async () => pipeline.start(),
    stop: async () => void (await pipeline.stop()),
    pids,
    async check() {
      // Rejects with the log of the process that has ended.
      if ((await cpuTimesOf(pids())).size < pids().length) await pipeline.until(async () => false);
    },
    [Symbol.asyncDispose]: () => pipeline[Symbol.asyncDispose](),
  };
}
