import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MongoClient } from "mongodb";
import type { Db } from "mongodb";
import { Pool } from "pg";
import { dropPipeline } from "../dev/drop-pipeline.ts";
import { headrace, HeadraceProcess, residentBytes } from "../dev/headrace-process.ts";
import type { Stack } from "../dev/stack/types.ts";
import { topicOf } from "../src/schemas/topics.ts";
import { measuredEnvironment, readUsage } from "./usage.ts";
import type { Usage } from "./usage.ts";

export interface CollectionColumns {
  readonly columns?: Readonly<Record<string, string | { readonly path: string; readonly type: string }>>;
}

export interface BenchPipelineOptions {
  /** The database to read. Default: a new one, which is dropped at the end. */
  readonly database?: string;
  /** By collection. Default: every collection of the database. */
  readonly collections?: Readonly<Record<string, CollectionColumns>>;
  readonly partitions?: number;
  readonly consumers?: number;
  /** As in the config. */
  readonly transactionIntervalMs?: number;
}

export interface PipelineUsage {
  readonly produce: Usage;
  /** Of all consumers: the sum of the CPU times, the highest memory. */
  readonly consume: Usage;
}

const POLL_MS = 25;
const PARTITIONS = 4;
/** The compiled command, as users run it. */
const program = new URL("../dist/cli/main.js", import.meta.url).pathname;

/** A new pipeline on the stack's servers. Its source database, topics and target schema have its name. */
export class BenchPipeline implements AsyncDisposable {
  readonly name = `headrace_bench_${randomBytes(4).toString("hex")}`;
  readonly stack: Stack;
  readonly source: MongoClient;
  readonly target: Pool;
  readonly #database: string | undefined;
  readonly #folder: string;
  readonly #consumers: number;
  #started = 0;
  #running: { readonly process: HeadraceProcess; readonly usageFile: string }[] = [];

  private constructor(stack: Stack, source: MongoClient, folder: string, options: BenchPipelineOptions) {
    this.stack = stack;
    this.source = source;
    this.target = new Pool({ connectionString: stack.postgresUrl });
    this.#folder = folder;
    this.#database = options.database;
    this.#consumers = options.consumers ?? 1;
  }

  static async create(stack: Stack, options: BenchPipelineOptions = {}): Promise<BenchPipeline> {
    const { collections, partitions = PARTITIONS, transactionIntervalMs } = options;
    const source = await new MongoClient(stack.mongodbUri).connect();
    const folder = await mkdtemp(join(tmpdir(), "headrace-bench-"));
    const pipeline = new BenchPipeline(stack, source, folder, options);
    const { name } = pipeline;
    const config = {
      name,
      mongodb: { uri: stack.mongodbUri, database: pipeline.#databaseName },
      kafka: { brokers: stack.kafkaBrokers, partitions, sessionTimeoutMs: 10_000, transactionIntervalMs },
      schemaRegistry: { url: stack.schemaRegistryUrl },
      postgres: { url: stack.postgresUrl, schema: name },
      ...(collections === undefined ? {} : { collections }),
    };
    await writeFile(pipeline.#configFile, JSON.stringify(config));
    return pipeline;
  }

  get db(): Db {
    return this.source.db(this.#databaseName);
  }

  get #databaseName(): string {
    return this.#database ?? this.name;
  }

  get #configFile(): string {
    return join(this.#folder, "headrace.yaml");
  }

  /** A table of the target, quoted. */
  table(collection: string): string {
    return `"${this.name}"."${collection}"`;
  }

  /** Starts a producer and the consumers. */
  start(): void {
    for (const command of ["produce", ...Array.from({ length: this.#consumers }, () => "consume")]) {
      const number = this.#started++;
      const usageFile = join(this.#folder, `${number}.json`);
      const env = measuredEnvironment(usageFile);
      const logFile = join(this.#folder, `${command}-${number}.log`);
      const started = new HeadraceProcess({ program, args: [command, "-c", this.#configFile], env, logFile });
      started.start();
      this.#running.push({ process: started, usageFile });
    }
  }

  /** Runs `headrace …` to its end. */
  async command(...args: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await headrace([...args, "-c", this.#configFile], process.env);
    if (exitCode !== 0) throw new Error(`headrace ${args.join(" ")} ended with ${exitCode}:\n${stderr}`);
  }

  /** Stops the processes with SIGTERM. Resolves to what they used. */
  async stop(): Promise<PipelineUsage> {
    const running = this.#running;
    this.#running = [];
    await Promise.all(running.map((each) => each.process.stop()));
    const usages = await Promise.all(running.map(({ usageFile }) => readUsage(usageFile)));
    const [produce, ...consume] = usages;
    if (produce === undefined) throw new Error("the pipeline was not started");
    return {
      produce,
      consume: {
        cpuSeconds: consume.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
        peakMemoryMb: Math.max(...consume.map(({ peakMemoryMb }) => peakMemoryMb)),
      },
    };
  }

  /** Ends the processes with SIGKILL, like a crash. */
  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = [];
    await Promise.all(running.map((each) => each.process.kill()));
  }

  /** The largest process's resident memory now, MB. Linux only. */
  async residentMb(): Promise<number> {
    const sizes = this.#running.map(({ process: { pid } }) => residentBytes(pid).catch(() => 0));
    return Math.round(Math.max(0, ...(await Promise.all(sizes))) / 1e6);
  }

  /** The processes that run, by what they do: one producer, and the consumers. */
  get pids(): { readonly produce: readonly number[]; readonly consume: readonly number[] } {
    const pidsOf = (command: string): number[] =>
      this.#running.flatMap(({ process: { name, pid } }) => (name === command && pid !== undefined ? [pid] : []));
    return { produce: pidsOf("produce"), consume: pidsOf("consume") };
  }

  /** Waits until a table has so many rows. Checks the stored progress first, because counting is expensive. */
  async untilRows(collection: string, rows: number): Promise<void> {
    await this.until(async () => (await this.progress(collection)) >= rows && (await this.count(collection)) === rows);
  }

  /** Waits until the condition holds. @throws Error if a process ends */
  async until(condition: () => Promise<boolean>): Promise<void> {
    const failed = new AbortController();
    const ends = this.#running.map((each) => each.process.unexpectedEnd());
    const waiting = async (): Promise<void> => {
      while (!failed.signal.aborted && !(await condition())) await sleep(POLL_MS);
    };
    try {
      await Promise.race([waiting(), ...ends]);
    } finally {
      failed.abort();
      for (const end of ends) end.catch(() => {});
    }
  }

  /** Number of offsets of a collection's topic that are applied. */
  async progress(collection: string): Promise<number> {
    const topic = topicOf(this.name, this.#databaseName, collection);
    return await this.#number("SELECT sum(next_offset) AS n FROM headrace.progress WHERE topic = $1", [topic]);
  }

  async count(collection: string): Promise<number> {
    return await this.#number(`SELECT count(*) AS n FROM ${this.table(collection)}`, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process } of this.#running) await process.kill();
    await dropPipeline(this);
    await this.target.end();
    if (this.#database === undefined) await this.db.dropDatabase();
    await this.source.close();
    await rm(this.#folder, { recursive: true });
  }

  /** 0 while there is no such table. */
  async #number(sql: string, values: readonly unknown[]): Promise<number> {
    try {
      const { rows } = await this.target.query<{ n: string | null }>(sql, [...values]);
      return Number(rows[0]?.n ?? 0);
    } catch (error) {
      if ((error as { code?: unknown }).code === UNDEFINED_TABLE) return 0;
      throw error;
    }
  }
}

const UNDEFINED_TABLE = "42P01";
