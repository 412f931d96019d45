import { BenchPipeline } from "../bench-pipeline.ts";
import type { BenchPipelineOptions, CollectionColumns, PipelineUsage } from "../bench-pipeline.ts";
import { upsertLimit } from "../limits.ts";
import { PRODUCT_COLUMNS } from "../product.ts";
import type { BenchContext } from "../scenario.ts";
import { COLLECTION, manyProducts, withSource } from "../source.ts";
import type { Source } from "../source.ts";
import { mediansOf, rounded } from "../statistics.ts";

/** What to copy, and how. */
export interface Copy extends Source {
  readonly collection: CollectionColumns;
  readonly pipeline?: Pick<BenchPipelineOptions, "partitions" | "consumers">;
}

export interface SnapshotFigures {
  readonly documents: number;
  /** From the start of the processes until PostgreSQL shows the last row. */
  readonly rowsPerSecond: number;
  readonly limitRowsPerSecond: number;
  readonly ratio: number;
  /** Producer and consumer together. */
  readonly cpuMicrosPerRow: number;
  readonly producerCpuMicrosPerRow: number;
  readonly consumerCpuMicrosPerRow: number;
  readonly peakMemoryMb: number;
  readonly producerPeakMemoryMb: number;
  readonly consumerPeakMemoryMb: number;
}

export const products = (documents: number): Copy => ({
  ...manyProducts(documents),
  collection: { columns: PRODUCT_COLUMNS },
});

export async function snapshot(context: BenchContext): Promise<object> {
  const { scale } = context;
  const small = await measureCopy(context, products(Math.round(300_000 * scale)));
  const large = await measureCopy({ ...context, runs: 1 }, products(Math.round(1_000_000 * scale)));
  return { ...small, million: large };
}

/** Copies a collection several times, each time by new processes into a new table. */
export async function measureCopy(context: BenchContext, copy: Copy): Promise<SnapshotFigures> {
  const { stack, runs, report } = context;
  return await withSource(stack, copy, async ({ databaseName }) => {
    const figures: SnapshotFigures[] = [];
    for (let run = 0; run < runs; run++) {
      const one = await copyOnce(context, databaseName, copy);
      report(
        `${copy.documents} documents: ${one.rowsPerSecond} rows/s, ${rounded(one.ratio * 100, 0)} % of ${one.limitRowsPerSecond}, ` +
          `${one.producerCpuMicrosPerRow} + ${one.consumerCpuMicrosPerRow} µs CPU a row, ` +
          `${one.producerPeakMemoryMb} and ${one.consumerPeakMemoryMb} MB`,
      );
      figures.push(one);
    }
    return mediansOf(figures);
  });
}

async function copyOnce({ stack }: BenchContext, database: string, copy: Copy): Promise<SnapshotFigures> {
  const collections = { [COLLECTION]: copy.collection };
  await using pipeline = await BenchPipeline.create(stack, { ...copy.pipeline, database, collections });
  const began = performance.now();
  pipeline.start();
  await pipeline.untilRows(COLLECTION, copy.documents);
  const elapsedMs = performance.now() - began;
  const usage = await pipeline.stop();
  const table = { table: pipeline.table(COLLECTION), copy: pipeline.table("limit") };
  const limit = await upsertLimit({ pool: pipeline.target, ...table });
  return figuresOf(copy.documents, elapsedMs, limit, usage);
}

function figuresOf(documents: number, elapsedMs: number, limit: number, usage: PipelineUsage): SnapshotFigures {
  const { produce, consume } = usage;
  const rowsPerSecond = (documents / elapsedMs) * 1_000;
  const micros = (cpuSeconds: number): number => rounded((cpuSeconds / documents) * 1e6);
  return {
    documents,
    rowsPerSecond: rounded(rowsPerSecond, 0),
    limitRowsPerSecond: rounded(limit, 0),
    ratio: rounded(rowsPerSecond / limit, 3),
    cpuMicrosPerRow: micros(produce.cpuSeconds + consume.cpuSeconds),
    producerCpuMicrosPerRow: micros(produce.cpuSeconds),
    consumerCpuMicrosPerRow: micros(consume.cpuSeconds),
    peakMemoryMb: rounded(Math.max(produce.peakMemoryMb, consume.peakMemoryMb), 0),
    producerPeakMemoryMb: rounded(produce.peakMemoryMb, 0),
    consumerPeakMemoryMb: rounded(consume.peakMemoryMb, 0),
  };
}
