import { Int32 } from "mongodb";
import type { Document } from "mongodb";
import { seededRandom } from "../../test/support/random.ts";
import { BenchPipeline } from "../bench-pipeline.ts";
import { load } from "../load.ts";
import { objectId, product, PRODUCT_COLUMNS } from "../product.ts";
import type { BenchContext } from "../scenario.ts";
import { rounded } from "../statistics.ts";
import { measureCopy, products } from "./snapshot.ts";
import type { Copy } from "./snapshot.ts";

const WIDE_FIELDS = 200;
const LARGE_BYTES = 1_000_000;
const MOST_BYTES = 15_900_000;
const LINE_BYTES = 1_000;

/** 200 fields, each a column. */
export async function wide(context: BenchContext): Promise<object> {
  const names = Array.from({ length: WIDE_FIELDS }, (_, index) => `field${index}`);
  const make = (number: number): Document => {
    const random = seededRandom(number);
    const fields = names.map((name) => [name, new Int32(Math.floor(random() * 1e6))] as const);
    return { _id: objectId(number), ...Object.fromEntries(fields) };
  };
  const columns = Object.fromEntries(names.map((name) => [name, "integer"]));
  const documents = Math.round(20_000 * context.scale);
  return await measureCopy(context, { documents, make, bytesEach: 3_000, collection: { columns } });
}

/** 1 MB each, and nearly 16 MB, in document mode. */
export async function large(context: BenchContext): Promise<object> {
  const megabyte = await measureCopy(context, largeDocuments(Math.round(500 * context.scale), LARGE_BYTES));
  const largest = await measureCopy(
    { ...context, runs: 1 },
    largeDocuments(Math.round(40 * context.scale), MOST_BYTES),
  );
  return { ...megabyte, largest };
}

function largeDocuments(documents: number, bytesEach: number): Copy {
  const make = (number: number): Document => {
    const random = seededRandom(number);
    const lines = Array.from({ length: bytesEach / LINE_BYTES }, () => random().toString(36).padEnd(LINE_BYTES, "x"));
    return { _id: objectId(number), lines };
  };
  return { documents, make, bytesEach, collection: {} };
}

export async function tiny(context: BenchContext): Promise<object> {
  const make = (number: number): Document => ({ _id: objectId(number), a: new Int32(number), b: `t${number}` });
  const documents = Math.round(300_000 * context.scale);
  return await measureCopy(context, { documents, make, collection: { columns: { a: "integer", b: "text" } } });
}

/** Updates of only ten keys, made while the pipeline is down. */
export async function hotKeys(context: BenchContext): Promise<object> {
  const { stack, scale, report } = context;
  const updates = Math.round(50_000 * scale);
  await using pipeline = await BenchPipeline.create(stack, {
    collections: { products: { columns: PRODUCT_COLUMNS } },
  });
  const collection = pipeline.db.collection("products");
  await load(collection, 10, product);
  pipeline.start();
  await pipeline.untilRows("products", 10);
  await pipeline.stop();
  for (let from = 0; from < updates; from += 1_000) {
    const some = Array.from({ length: 1_000 }, (_, index) => from + index);
    await collection.bulkWrite(
      some.map((each) => ({
        updateOne: { filter: { _id: objectId(each % 10) }, update: { $set: { stock: new Int32(-each) } } },
      })),
    );
  }
  const began = performance.now();
  pipeline.start();
  const sql = `SELECT FROM ${pipeline.table("products")} WHERE stock <= $1`;
  await pipeline.until(async () => (await pipeline.target.query(sql, [10 - updates])).rows.length === 10);
  const changesPerSecond = rounded((updates / (performance.now() - began)) * 1_000, 0);
  await pipeline.stop();
  report(`${updates} updates of 10 keys: ${changesPerSecond}/s`);
  return { updates, changesPerSecond };
}

/** 50 collections at once. */
export async function collections(context: BenchContext): Promise<object> {
  const { stack, scale, report } = context;
  const names = Array.from({ length: 50 }, (_, index) => `products${index}`);
  const each = Math.round(2_000 * scale);
  await using pipeline = await BenchPipeline.create(stack, {
    collections: Object.fromEntries(names.map((name) => [name, { columns: PRODUCT_COLUMNS }])),
  });
  for (const name of names) await load(pipeline.db.collection(name), each, product);
  const began = performance.now();
  pipeline.start();
  for (const name of names) await pipeline.untilRows(name, each);
  const rowsPerSecond = rounded(((names.length * each) / (performance.now() - began)) * 1_000, 0);
  const usage = await pipeline.stop();
  const peakMemoryMb = rounded(Math.max(usage.produce.peakMemoryMb, usage.consume.peakMemoryMb), 0);
  report(`50 collections of ${each} documents: ${rowsPerSecond} rows/s, ${peakMemoryMb} MB`);
  return { collections: names.length, rowsPerSecond, peakMemoryMb };
}

/** Speed and memory for larger collections, and for more partitions and consumers. */
export async function growth(context: BenchContext): Promise<object> {
  const once = { ...context, runs: 1 };
  const byDocuments: Record<string, object> = {};
  for (const documents of [10_000, 100_000, 1_000_000]) {
    byDocuments[documents] = await measureCopy(once, products(Math.round(documents * context.scale)));
  }
  const byConsumers: Record<string, object> = {};
  for (const count of [1, 2, 4]) {
    const pipeline = { partitions: count, consumers: count };
    byConsumers[count] = await measureCopy(once, { ...products(Math.round(100_000 * context.scale)), pipeline });
  }
  return { documents: byDocuments, partitionsAndConsumers: byConsumers };
}
