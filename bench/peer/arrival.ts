import { setTimeout as sleep } from "node:timers/promises";
import type { Collection } from "mongodb";
import type { Pool } from "pg";
import type { Side } from "./side.ts";

/** What two copies of a collection must have in common. */
export interface Totals {
  readonly rows: number;
  /** Of the field `stock`. */
  readonly stock: number;
}

/** Where the changes come from, and the side that they arrive through. */
export interface Journey {
  readonly collection: Collection;
  readonly pool: Pool;
  readonly side: Pick<Side, "table" | "check">;
}

const FIRST_LOOK_MS = 250;
const SHORTEST_MS = 25;
const LONGEST_MS = 1_000;
const CHECK_MS = 5_000;
const LIMIT_MS = 10 * 60_000;

/**
 * Waits until the table shows what the collection has. Looks rarely, and more often towards the end, because a look at a
 * large table takes time from the pipeline.
 * @returns the time of `performance.now()` at which the last look began
 */
export async function untilEqual({ collection, pool, side }: Journey): Promise<number> {
  const wanted = await collectionTotals(collection);
  const began = performance.now();
  const first = await tableTotals(pool, side.table);
  for (let checkedAt = began; ;) {
    const lookedAt = performance.now();
    const now = await tableTotals(pool, side.table);
    if (now.rows === wanted.rows && now.stock === wanted.stock) return lookedAt;
    const elapsedMs = performance.now() - began;
    if (performance.now() - checkedAt > CHECK_MS) {
      await side.check();
      checkedAt = performance.now();
    }
    if (elapsedMs > LIMIT_MS)
      throw new Error(`${side.table} has ${JSON.stringify(now)}, not ${JSON.stringify(wanted)}.`);
    const share = (now.stock - first.stock) / (wanted.stock - first.stock);
    await sleep(nextLookMs({ elapsedMs, share, costMs: performance.now() - lookedAt }));
  }
}

/**
 * When to look next: after a quarter of the time that is probably left.
 * @param share how much has arrived, from 0 to 1
 */
export function nextLookMs(now: {
  readonly elapsedMs: number;
  readonly share: number;
  readonly costMs: number;
}): number {
  if (!(now.share > 0)) return FIRST_LOOK_MS;
  const leftMs = Math.max(0, now.elapsedMs / now.share - now.elapsedMs);
  return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, now.costMs, leftMs / 4));
}

/** @throws Error if the table differs from the collection in its number of rows or in a sum */
export async function expectEqual({ collection, pool, side }: Journey): Promise<void> {
  const [sums] = await collection.aggregate([{ $group: { ...TOTALS, price: { $sum: "$price" } } }]).toArray();
  const { rows } = await pool.query<Record<string, string>>(
    `SELECT count(*) AS rows, sum(stock) AS stock, sum(price::numeric) AS price FROM ${side.table}`,
  );
  const [wanted, found] = [textOf(sums ?? {}), textOf(rows[0] ?? {})];
  if (wanted !== found) throw new Error(`${side.table} is not equal to the collection: ${found} instead of ${wanted}.`);
}

/** As numbers, because the servers write decimals differently. */
function textOf(totals: Readonly<Record<string, unknown>>): string {
  return ["rows", "stock", "price"].map((name) => `${name} ${Number(String(totals[name]))}`).join(", ");
}

const TOTALS = { _id: null, rows: { $sum: 1 }, stock: { $sum: "$stock" } };

async function collectionTotals(collection: Collection): Promise<Totals> {
  const [totals] = await collection.aggregate<Totals>([{ $group: TOTALS }]).toArray();
  return { rows: totals?.rows ?? 0, stock: totals?.stock ?? 0 };
}

/** Zeros while there is no such table. */
async function tableTotals(pool: Pool, table: string): Promise<Totals> {
  try {
    const { rows } = await pool.query<{ rows: string; stock: string | null }>(
      `SELECT count(*) AS rows, sum(stock) AS stock FROM ${table}`,
    );
    return { rows: Number(rows[0]?.rows), stock: Number(rows[0]?.stock ?? 0) };
  } catch (error) {
    if ((error as { code?: unknown }).code === UNDEFINED_TABLE) return { rows: 0, stock: 0 };
    throw error;
  }
}

const UNDEFINED_TABLE = "42P01";
