import { Decimal128 } from "mongodb";
import type { AnyBulkWriteOperation, Collection, Timestamp } from "mongodb";
import { BenchPipeline } from "../bench-pipeline.ts";
import { changeStreamLimit } from "../limits.ts";
import { load } from "../load.ts";
import { objectId, PRODUCT_COLUMNS, product } from "../product.ts";
import type { BenchContext } from "../scenario.ts";
import { median, rounded } from "../statistics.ts";

const CHANGES = 100_000;
const COLLECTION = "products";
/** Size of the range of document numbers that each run inserts. */
const RUN_NUMBERS = 1_000_000;

/** Changes made while the pipeline is down: 60 % updates (each of a different key), 25 % inserts, 15 % deletes. */
export async function drain(context: BenchContext): Promise<object> {
  const { stack, runs, scale, report } = context;
  const changes = Math.round(CHANGES * scale);
  await using pipeline = await BenchPipeline.create(stack, {
    collections: { [COLLECTION]: { columns: PRODUCT_COLUMNS } },
  });
  const collection = pipeline.db.collection(COLLECTION);
  let rows = Math.round(changes * 0.8);
  await load(collection, rows, product);
  pipeline.start();
  await pipeline.untilRows(COLLECTION, rows);
  await pipeline.stop();
  const rates: number[] = [];
  const limits: number[] = [];
  for (let run = 1; run <= runs; run++) {
    const since = await makeChanges(collection, changes, run);
    const updated = Math.round(changes * 0.6);
    rows += Math.round(changes * 0.25) - Math.round(changes * 0.15);
    const before = await pipeline.progress(COLLECTION);
    const began = performance.now();
    pipeline.start();
    await pipeline.until(
      async () =>
        (await pipeline.progress(COLLECTION)) >= before + changes && (await isDone(pipeline, run, { rows, updated })),
    );
    rates.push((changes / (performance.now() - began)) * 1_000);
    const { produce, consume } = await pipeline.stop();
    limits.push(await changeStreamLimit(collection, since, changes));
    report(
      `${changes} changes: ${rounded(rates.at(-1) ?? 0, 0)}/s of ${rounded(limits.at(-1) ?? 0, 0)}, ` +
        `${rounded((produce.cpuSeconds / changes) * 1e6)} + ${rounded((consume.cpuSeconds / changes) * 1e6)} µs CPU a change`,
    );
  }
  const [rate, limit] = [median(rates), median(limits)];
  return {
    changes,
    changesPerSecond: rounded(rate, 0),
    limitChangesPerSecond: rounded(limit, 0),
    ratio: rounded(rate / limit, 3),
  };
}

/** Mixes the three kinds. Resolves to the cluster time before the first change. */
export async function makeChanges(collection: Collection, changes: number, run: number): Promise<Timestamp> {
  const { operationTime } = await collection.db.command({ ping: 1 });
  const kept = Math.round(changes * 0.65);
  let [updated, inserted, deleted] = [0, 0, 0];
  let operations: AnyBulkWriteOperation[] = [];
  for (let change = 0; change < changes; change++) {
    const kind = change % 20;
    if (kind < 12) {
      const update = { $set: { price: Decimal128.fromString(`${run}.${change % 100}`), stock: -run } };
      operations.push({ updateOne: { filter: { _id: objectId(updated++) }, update } });
    } else if (kind < 17) {
      operations.push({ insertOne: { document: product(run * RUN_NUMBERS + inserted++) } });
    } else {
      const number = run === 1 ? kept + deleted++ : (run - 1) * RUN_NUMBERS + deleted++;
      operations.push({ deleteOne: { filter: { _id: objectId(number) } } });
    }
    if (operations.length < 2_000 && change + 1 < changes) continue;
    await collection.bulkWrite(operations, { ordered: true });
    operations = [];
  }
  return operationTime as Timestamp;
}

/** Whether PostgreSQL shows all changes of a run. */
async function isDone(
  pipeline: BenchPipeline,
  run: number,
  expected: { rows: number; updated: number },
): Promise<boolean> {
  const { rows } = await pipeline.target.query<{ rows: string; updated: string }>(
    `SELECT count(*) AS rows, count(*) FILTER (WHERE stock = $1) AS updated FROM ${pipeline.table(COLLECTION)}`,
    [-run],
  );
  return Number(rows[0]?.rows) === expected.rows && Number(rows[0]?.updated) === expected.updated;
}
