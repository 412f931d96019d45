import { setTimeout as sleep } from "node:timers/promises";
import { Int32 } from "mongodb";
import { seededRandom } from "../../test/support/random.ts";
import { BenchPipeline } from "../bench-pipeline.ts";
import { load } from "../load.ts";
import { objectId, PRODUCT_COLUMNS, product } from "../product.ts";
import type { BenchContext } from "../scenario.ts";
import { latencyOf, median, rounded } from "../statistics.ts";
import type { Latency } from "../statistics.ts";

const COLLECTION = "products";
const DOCUMENTS = 500_000;
const UPDATES_PER_SECOND = 50;
const IDLE_MS = 15_000;
/** Time between two polls of PostgreSQL. */
const LOOK_MS = 2;

interface Run {
  readonly idle: Latency;
  readonly snapshot: Latency;
  /** With updates at the same time, and without. */
  readonly rowsPerSecond: { readonly live: number; readonly alone: number };
}

/**
 * The time from an update's acknowledgement until PostgreSQL shows it: in an idle pipeline, and while the whole
 * collection is copied. Each ratio compares two measurements in direct succession, because the machine's load may change.
 */
export async function liveInSnapshot({ stack, scale, runs: count, report }: BenchContext): Promise<object> {
  await using pipeline = await BenchPipeline.create(stack, {
    collections: { [COLLECTION]: { columns: PRODUCT_COLUMNS } },
  });
  const documents = Math.round(DOCUMENTS * scale);
  await load(pipeline.db.collection(COLLECTION), documents, product);
  pipeline.start();
  await pipeline.untilRows(COLLECTION, documents);
  const probe = new Probe(pipeline, documents);
  const runs: Run[] = [];
  while (runs.length < count) {
    const run = await measure(pipeline, probe, documents);
    report(JSON.stringify(run));
    runs.push(run);
  }
  await pipeline.stop();
  const ratioOf = (key: "p50Ms" | "p95Ms" | "p99Ms") =>
    rounded(median(runs.map(({ snapshot, idle }) => snapshot[key] / idle[key])), 2);
  const speedRatio = rounded(median(runs.map(({ rowsPerSecond: { live, alone } }) => live / alone)), 2);
  return { runs, ratio: { p50: ratioOf("p50Ms"), p95: ratioOf("p95Ms"), p99: ratioOf("p99Ms") }, speedRatio };
}

async function measure(pipeline: BenchPipeline, probe: Probe, documents: number): Promise<Run> {
  const copy = async (): Promise<number> => {
    const began = performance.now();
    await pipeline.command("snapshot", "--collection", COLLECTION, "--wait");
    return Math.round((documents / (performance.now() - began)) * 1_000);
  };
  const idle = latencyOf(await probe.run(AbortSignal.timeout(IDLE_MS)));
  const copied = new AbortController();
  const [times, live] = await Promise.all([probe.run(copied.signal), copy().finally(() => copied.abort())]);
  return { idle, snapshot: latencyOf(times), rowsPerSecond: { live, alone: await copy() } };
}

class Probe {
  readonly #pipeline: BenchPipeline;
  readonly #documents: number;
  readonly #random = seededRandom(1);
  #writes = 0;

  constructor(pipeline: BenchPipeline, documents: number) {
    this.#pipeline = pipeline;
    this.#documents = documents;
  }

  /** Updates random documents at a steady rate until `signal` aborts. Resolves to the times until each was visible, in ms. */
  async run(signal: AbortSignal): Promise<number[]> {
    const began = performance.now();
    const updates: Promise<number>[] = [];
    while (!signal.aborted) {
      updates.push(this.#update());
      const due = began + (updates.length / UPDATES_PER_SECOND) * 1_000;
      await sleep(Math.max(0, due - performance.now()));
    }
    return await Promise.all(updates);
  }

  async #update(): Promise<number> {
    const _id = objectId(Math.floor(this.#random() * this.#documents));
    const stock = 1_000_000 + this.#writes++;
    await this.#pipeline.db.collection(COLLECTION).updateOne({ _id }, { $set: { stock: new Int32(stock) } });
    const acknowledged = performance.now();
    const text = `SELECT FROM ${this.#pipeline.table(COLLECTION)} WHERE _id = $1 AND stock >= $2`;
    const look = { name: "look", text, values: [_id.toHexString(), stock] };
    while ((await this.#pipeline.target.query(look)).rows.length === 0) await sleep(LOOK_MS);
    return performance.now() - acknowledged;
  }
}
