import type { Db } from "mongodb";
import { BenchPipeline } from "../bench-pipeline.ts";
import { load } from "../load.ts";
import { PRODUCT_COLUMNS, product } from "../product.ts";
import type { BenchContext } from "../scenario.ts";
import { rounded } from "../statistics.ts";

const COLLECTION = "products";
const SEED = "seed";
const SEEDS = 100_000;
const COPIES = 100;
const MILLION = 1_000_000;

/** A moment of the copy. */
interface Sample {
  /** Since the start of the processes, ms. */
  readonly atMs: number;
  readonly applied: number;
  readonly memoryMb: number;
}

/**
 * Ten million products, copied by one producer and one consumer. Both are killed in the middle and started again. Then every
 * document is compared with its row.
 */
export async function tenMillion({ stack, scale, report }: BenchContext): Promise<object> {
  await using pipeline = await BenchPipeline.create(stack, {
    collections: { [COLLECTION]: { columns: PRODUCT_COLUMNS } },
  });
  const documents = SEEDS * Math.max(1, Math.round(COPIES * scale));
  await multiply(pipeline.db, documents / SEEDS);
  report(`${documents} documents are there`);
  const began = performance.now();
  const samples: Sample[] = [];
  const sample = async (applied: number): Promise<void> => {
    samples.push({ atMs: performance.now() - began, applied, memoryMb: await pipeline.residentMb() });
  };
  const untilApplied = (enough: (applied: number) => Promise<boolean> | boolean): Promise<void> =>
    pipeline.until(async () => {
      const applied = await pipeline.progress(COLLECTION);
      await sample(applied);
      return await enough(applied);
    });
  pipeline.start();
  await untilApplied((applied) => applied >= documents / 2);
  await pipeline.kill();
  report("killed in the middle");
  pipeline.start();
  await untilApplied(async (applied) => applied >= documents && (await pipeline.count(COLLECTION)) === documents);
  const seconds = (performance.now() - began) / 1_000;
  const peakMemoryMb = Math.max(...samples.map(({ memoryMb }) => memoryMb));
  await pipeline.stop();
  report(`copied in ${rounded(seconds)} s; comparing`);
  await pipeline.command("verify");
  const { rows } = await pipeline.target.query<{ bytes: string }>(
    "SELECT pg_total_relation_size($1::regclass) AS bytes",
    [pipeline.table(COLLECTION)],
  );
  return {
    documents,
    seconds: rounded(seconds),
    rowsPerSecond: rounded(documents / seconds, 0),
    secondMillionRowsPerSecond: rateBetween(samples, MILLION, 2 * MILLION),
    lastMillionRowsPerSecond: rateBetween(samples, documents - MILLION, documents),
    peakMemoryMb,
    tableGb: rounded(Number(rows[0]?.bytes) / 1e9),
  };
}

/** Rows per second between two numbers of applied records; 0 where the copy is smaller than that. */
function rateBetween(samples: readonly Sample[], from: number, to: number): number {
  const [start, end] = [from, to].map((applied) => samples.find((each) => each.applied >= applied));
  if (from < 0 || start === undefined || end === undefined || end.atMs === start.atMs) return 0;
  return rounded(((end.applied - start.applied) / (end.atMs - start.atMs)) * 1_000, 0);
}

/** Makes the products on the server, each seed many times under other ids: ten million inserts would take longer than the copy. */
async function multiply(db: Db, copies: number): Promise<void> {
  await load(db.collection(SEED), SEEDS, product);
  const digits = {
    $toString: { $add: [{ $multiply: [{ $toLong: { $substrCP: ["$sku", 4, 9] } }, COPIES] }, "$copy"] },
  };
  const padded = { $concat: ["0000000000000000", digits] };
  const id = { $substrCP: [padded, { $subtract: [{ $strLenCP: padded }, 16] }, 16] };
  await db
    .collection(SEED)
    .aggregate(
      [
        { $set: { copy: { $range: [0, copies] } } },
        { $unwind: "$copy" },
        { $set: { _id: { $toObjectId: { $concat: ["65f0c0ff", id] } } } },
        { $unset: "copy" },
        { $out: COLLECTION },
      ],
      { allowDiskUse: true },
    )
    .toArray();
}
