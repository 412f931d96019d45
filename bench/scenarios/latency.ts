import { Int32 } from "mongodb";
import type { Collection } from "mongodb";
import type { Pool } from "pg";
import { BenchPipeline } from "../bench-pipeline.ts";
import { writeLimit } from "../limits.ts";
import { load, update } from "../load.ts";
import { objectId, PRODUCT_COLUMNS, product } from "../product.ts";
import type { BenchContext } from "../scenario.ts";
import { latencyOf } from "../statistics.ts";
import type { Latency } from "../statistics.ts";

const COLLECTION = "products";
/** Of the collection that `measure` needs. */
export const DOCUMENTS = 20_000;
/** The first so many documents are watched. No other update touches them. */
const PROBED = 1_000;
const RATES = [200, 2_000];
const DURATION_MS = 30_000;
const WARM_UP_MS = 3_000;
const LIMIT_WRITES = 500;

/** The time from an update's acknowledgement until PostgreSQL shows it, at several rates of updates. */
export async function latency(context: BenchContext): Promise<object> {
  const { stack, scale, report } = context;
  await using pipeline = await BenchPipeline.create(stack, {
    collections: { [COLLECTION]: { columns: PRODUCT_COLUMNS } },
  });
  const collection = pipeline.db.collection(COLLECTION);
  await load(collection, DOCUMENTS, product);
  pipeline.start();
  await pipeline.untilRows(COLLECTION, DOCUMENTS);
  const figures: Record<string, Latency> = {};
  const probe = { collection, pool: pipeline.target, table: pipeline.table(COLLECTION) };
  for (const rate of RATES) {
    await measure(probe, rate, WARM_UP_MS);
    const times = await measure(probe, rate, DURATION_MS * scale);
    figures[rate] = latencyOf(times);
    report(`${rate} updates/s: ${JSON.stringify(figures[rate])}`);
  }
  await pipeline.stop();
  const keys = Array.from({ length: LIMIT_WRITES }, (_, number) => objectId(number).toHexString());
  const limit = latencyOf(await writeLimit(stack, pipeline.table(COLLECTION), keys));
  report(`a produce and a commit alone: ${JSON.stringify(limit)}`);
  return { ...figures, limit };
}

/** What is watched, and where. */
export interface Probe {
  readonly collection: Collection;
  readonly pool: Pool;
  readonly table: string;
}

/** The times, in ms, of watched updates beside a steady rate of others. */
export async function measure(probe: Probe, rate: number, durationMs: number): Promise<number[]> {
  const until = performance.now() + durationMs;
  const [times] = await Promise.all([
    watchSingleUpdates(probe, until),
    update(probe.collection, [PROBED, DOCUMENTS], { rate, until }),
  ]);
  return times;
}

async function watchSingleUpdates({ collection, pool, table }: Probe, until: number): Promise<number[]> {
  const times: number[] = [];
  const client = await pool.connect();
  try {
    await client.query(untilVisible(table));
    // At least one, however small the scale.
    for (let number = 0; number === 0 || performance.now() < until; number++) {
      const _id = objectId(number % PROBED);
      const stock = 1_000_000 + Math.floor(performance.now());
      await collection.updateOne({ _id }, { $set: { stock: new Int32(stock) } });
      const acknowledged = performance.now();
      const text = "SELECT pg_temp.until_visible($1, $2)";
      await client.query({ name: "look", text, values: [_id.toHexString(), stock] });
      times.push(performance.now() - acknowledged);
    }
  } finally {
    client.release();
  }
  return times;
}

/**
 * Polls once per millisecond, each time with a new snapshot. It polls inside the server, because polling over the network
 * would take CPU time from the pipeline.
 */
function untilVisible(table: string): string {
  return `CREATE OR REPLACE FUNCTION pg_temp.until_visible(id text, wanted int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    PERFORM FROM ${table} WHERE _id = id AND stock = wanted;
    EXIT WHEN FOUND;
    PERFORM pg_sleep(0.001);
  END LOOP;
END $$`;
}
