import { setTimeout as sleep } from "node:timers/promises";
import { Int32 } from "mongodb";
import type { Pool } from "pg";
import { objectId } from "../product.ts";
import type { Journey } from "./arrival.ts";

const POLL_MS = 5;
/** How long the last updates may take. */
const PATIENCE_MS = 30_000;
/** Above every value of `stock` in the documents. An update sets `stock` to this plus its document's number. */
const MARK = 1_000_000;

/** Updates, each of a document of its own. */
export interface Updates {
  /** Number of the first document. */
  readonly first: number;
  readonly count: number;
  readonly perSecond: number;
}

/** Makes the look for updates cheap. */
export async function createProbeIndex({ pool, side }: Journey): Promise<void> {
  await pool.query(`CREATE INDEX ON ${side.table} (stock) WHERE stock >= ${MARK}`);
  await pool.query(`ANALYZE ${side.table}`);
}

/**
 * Updates documents at a steady rate, and looks every 5 ms which updates PostgreSQL shows.
 * @returns for each update the time from its acknowledgement to the end of the first look that showed it, ms
 */
export async function watchUpdates(journey: Journey, updates: Updates): Promise<readonly number[]> {
  const [acknowledged, visible] = await Promise.all([update(journey, updates), timesOfVisibility(journey, updates)]);
  return visible.map((time, index) => time - (acknowledged[index] ?? NaN));
}

/** @returns when each update was acknowledged */
async function update({ collection }: Journey, { first, count, perSecond }: Updates): Promise<readonly number[]> {
  const began = performance.now();
  const inFlight: Promise<number>[] = [];
  for (let index = 0; index < count; index++) {
    const waitMs = began + (index * 1_000) / perSecond - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    const number = first + index;
    const set = { $set: { stock: new Int32(MARK + number) } };
    inFlight.push(collection.updateOne({ _id: objectId(number) }, set).then(() => performance.now()));
  }
  return await Promise.all(inFlight);
}

/** @returns when each update was first seen */
async function timesOfVisibility(
  { pool, side }: Journey,
  { first, count, perSecond }: Updates,
): Promise<readonly number[]> {
  const seen = Array.from<number | undefined>({ length: count });
  const deadline = performance.now() + (count / perSecond) * 1_000 + PATIENCE_MS;
  let missing = count;
  /** All before it are seen. */
  let next = 0;
  const client = await pool.connect();
  try {
    while (missing > 0) {
      const found = await looked(client, side.table, MARK + first + next);
      const now = performance.now();
      for (const stock of found) {
        const index = stock - MARK - first;
        if (index >= count || seen[index] !== undefined) continue;
        seen[index] = now;
        missing--;
      }
      while (seen[next] !== undefined) next++;
      if (now > deadline) {
        await side.check();
        throw new Error(`${missing} of ${count} updates did not arrive in ${side.table}.`);
      }
      await sleep(POLL_MS);
    }
  } finally {
    client.release();
  }
  return seen.map((time) => time ?? NaN);
}

/** The marks in the table, from one on. */
async function looked(client: Pick<Pool, "query">, table: string, from: number): Promise<readonly number[]> {
  const { rows } = await client.query<{ stock: number }>({
    name: `look at ${table}`,
    // The first condition is that of the index.
    text: `SELECT stock FROM ${table} WHERE stock >= ${MARK} AND stock >= $1`,
    values: [from],
  });
  return rows.map(({ stock }) => stock);
}
