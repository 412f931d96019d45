// npm run bench:peer: Headrace beside its best peer, on the same servers and in the same run.
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { MongoClient } from "mongodb";
import { Pool } from "pg";
import { cacheFolder } from "../../dev/stack/local/cache.ts";
import { startStack } from "../../dev/stack/stack.ts";
import { textTable } from "../../src/cli/output/text-table.ts";
import { positive, report, someOf } from "../command-line.ts";
import { currentCommit, describeMachine } from "../machine.ts";
import type { BenchRecord } from "../record.ts";
import { saveRecord } from "../save-record.ts";
import type { Circumstances } from "../save-record.ts";
import { warmUp } from "../warm-up.ts";
import { connectPrograms, PEER_VERSIONS } from "./downloads.ts";
import { compareSides, recordedFigures, rowOf, TABLE_HEAD } from "./figures.ts";
import type { ComparedSides, Runs } from "./figures.ts";
import { PEER_SCENARIOS, runSide } from "./scenarios.ts";
import type { Figures, PeerScenarioName } from "./scenarios.ts";
import { SIDES } from "./side.ts";
import type { PeerBench, SideName } from "./side.ts";

interface Options {
  readonly only: readonly PeerScenarioName[];
  readonly runs: number;
  readonly scale: number;
  readonly warmUp: boolean;
  readonly work?: string;
  readonly json?: true;
  readonly save?: true;
}

const SCENARIO_NAMES = Object.keys(PEER_SCENARIOS) as PeerScenarioName[];

async function main(options: Options, signal: AbortSignal): Promise<void> {
  const measuredAt = new Date().toISOString();
  // Before minutes of measuring: a problem with git should not cost the result.
  const commit = options.save === true ? await currentCommit() : undefined;
  const work = options.work === undefined ? await mkdtemp(join(tmpdir(), "headrace-peer-")) : resolve(options.work);
  const stack = await startStack({ report, signal });
  const mongodb = await new MongoClient(stack.mongodbUri).connect();
  const pool = new Pool({ connectionString: stack.postgresUrl });
  try {
    const programs = await connectPrograms({ cache: cacheFolder(process.env), report, signal });
    const bench: PeerBench = { stack, mongodb, pool, programs, work, report, signal };
    const compared = await measure(bench, options);
    show(compared, options);
    if (commit === undefined) return;
    const described = await describeMachine(stack);
    const machine = { ...described, servers: { ...described.servers, ...PEER_VERSIONS } };
    await save({ ...commit, measuredAt, machine }, options, compared);
  } finally {
    await pool.end();
    await mongodb.close();
    await stack.stop();
    if (options.work === undefined) await rm(work, { recursive: true, force: true });
  }
}

/** All runs, alternating: the peer, Headrace, the peer … */
async function measure(
  bench: PeerBench,
  { only, runs, scale, warmUp: isWarm }: Options,
): Promise<readonly ComparedSides[]> {
  if (isWarm) {
    report("— warm-up");
    await warmUp(bench);
  }
  const compared: ComparedSides[] = [];
  for (const name of only) {
    const measured: Record<SideName, Figures[]> = { peer: [], headrace: [] };
    for (let run = 1; run <= runs; run++) {
      for (const side of SIDES) {
        const load = loadavg()[0]?.toFixed(1);
        const figures = await runSide(bench, name, { side, scale });
        report(`${name}, run ${run}, ${side} (load before: ${load}): ${JSON.stringify(rounded(figures))}`);
        measured[side].push(figures);
      }
    }
    compared.push(...compareSides(name, measured satisfies Runs));
  }
  return compared;
}

function show(compared: readonly ComparedSides[], { json }: Options): void {
  if (json === true) process.stdout.write(`${JSON.stringify(compared)}\n`);
  else process.stdout.write(textTable(TABLE_HEAD, compared.map(rowOf)));
}

async function save(
  circumstances: Circumstances,
  { runs, scale, warmUp: isWarm }: Options,
  compared: readonly ComparedSides[],
): Promise<void> {
  const record: BenchRecord = {
    ...circumstances,
    kind: "peer",
    options: { runs, scale, isWarm },
    figures: recordedFigures(compared),
  };
  report(`saved as ${await saveRecord(record)}`);
}

function rounded(figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Number(value.toPrecision(4))]));
}

const command = new Command("bench:peer")
  .description("Measures Headrace beside MongoDB's Kafka connector and Debezium's JDBC sink.")
  .option(
    "--only <names>",
    `some of ${SCENARIO_NAMES.join(", ")}; comma-separated`,
    someOf(SCENARIO_NAMES),
    SCENARIO_NAMES,
  )
  .option("--runs <count>", "runs per figure and side; a figure is their median", positive, 1)
  .option("--scale <factor>", "factor for the numbers of documents, changes and seconds", positive, 1)
  .option("--no-warm-up", "measure cold servers; for a quick look")
  .option("--work <folder>", "keep the peer's settings and logs there; default: a folder that is removed")
  .option("--save", "also write the figures to bench/history, with the commit and the machine")
  .option("--json", "print the figures as one line")
  .parse();

const interrupt = new AbortController();
process.once("SIGINT", () => interrupt.abort(new Error("interrupted")));
await main(command.opts<Options>(), interrupt.signal);
