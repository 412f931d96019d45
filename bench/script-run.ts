import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Db } from "mongodb";
import { Client } from "pg";
import type { Stack } from "../dev/stack/types.ts";
import { PRODUCT_COLUMNS } from "./product.ts";
import { COLLECTION } from "./source.ts";
import { measuredEnvironment, readUsage } from "./usage.ts";
import type { Usage } from "./usage.ts";

/** A script that copies products. Its process ends when PostgreSQL has the last row. */
export interface Script {
  /** A file of `bench/scripts`. */
  readonly file: string;
  readonly batchRows: number;
  /** Between two batches. */
  readonly pauseMs?: number;
}

export interface ScriptRun extends Usage {
  readonly rows: number;
  /** From the start of the process to its end. */
  readonly elapsedMs: number;
}

type Servers = Pick<Stack, "mongodbUri" | "postgresUrl">;

const run = promisify(execFile);
/** As in Headrace's table, without its own `_version` and `_extra`. */
const COLUMNS = Object.entries({ _id: "text", ...PRODUCT_COLUMNS });

/**
 * Runs a script as a process of its own, from a collection of products into a new table, which is dropped at the end.
 * @throws Error if the table differs from the collection
 */
export async function runScript({ mongodbUri, postgresUrl }: Servers, source: Db, script: Script): Promise<ScriptRun> {
  const schema = `headrace_bench_${randomBytes(4).toString("hex")}`;
  const table = `"${schema}"."${COLLECTION}"`;
  const folder = await mkdtemp(join(tmpdir(), "headrace-bench-"));
  const target = new Client(postgresUrl);
  await target.connect();
  try {
    const definitions = COLUMNS.map(([name, type]) => `"${name}" ${type}`);
    await target.query(`CREATE SCHEMA "${schema}"; CREATE TABLE ${table} (${definitions.join()}, PRIMARY KEY ("_id"))`);
    const { file, ...settings } = script;
    const places = { mongodbUri, database: source.databaseName, collection: COLLECTION, postgresUrl, table };
    const options = JSON.stringify({ ...places, columns: COLUMNS, ...settings });
    const usageFile = join(folder, "usage.json");
    const path = new URL(`scripts/${file}`, import.meta.url).pathname;
    const began = performance.now();
    await run(process.execPath, [path, options], { env: measuredEnvironment(usageFile) });
    const elapsedMs = performance.now() - began;
    return { ...(await readUsage(usageFile)), elapsedMs, rows: await equalRows(source, target, table) };
  } finally {
    await target.query(`DROP SCHEMA "${schema}" CASCADE`);
    await target.end();
    await rm(folder, { recursive: true });
  }
}

/** The number of rows. @throws Error if their number or the sum of their prices is not that of the documents */
async function equalRows(source: Db, target: Client, table: string): Promise<number> {
  const sums = { _id: null, count: { $sum: 1 }, price: { $sum: "$price" } };
  const price = { $toString: "$price" };
  const documents = await source
    .collection(COLLECTION)
    .aggregate<Sums>([{ $group: sums }, { $project: { _id: 0, count: { $toString: "$count" }, price } }])
    .toArray();
  const { rows } = await target.query<Sums>(`SELECT count(*), sum("price") AS price FROM ${table}`);
  const [inMongodb, inPostgres] = [documents, rows].map(([each]) => `${each?.count} products for ${each?.price}`);
  if (inMongodb !== inPostgres) throw new Error(`PostgreSQL has ${inPostgres}, MongoDB has ${inMongodb}`);
  return Number(rows[0]?.count);
}

interface Sums {
  readonly count: string;
  readonly price: string;
}
