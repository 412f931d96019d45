// npm run torture: random writes under random faults, and a comparison of everything at the end.
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { MongoServerError } from "mongodb";
import { auditEntries } from "../../test/support/audit-trail.ts";
import { ModelWriter } from "../../test/support/model-writer.ts";
import { seededRandom } from "../../test/support/random.ts";
import { startStack } from "../stack/stack.ts";
import type { Stack } from "../stack/types.ts";
import type { TortureContext } from "./fault.ts";
import { lifeFaults } from "./faults/life.ts";
import { mongodbFaults } from "./faults/mongodb.ts";
import { networkFaults } from "./faults/network.ts";
import { postgresFaults } from "./faults/postgres.ts";
import { processFaults } from "./faults/processes.ts";
import { restartFaults } from "./faults/restarts.ts";
import { Fleet } from "./fleet.ts";
import { collections, makePipeline, type TorturePipeline } from "./pipeline.ts";
import { Schedule } from "./schedule.ts";
import { judge } from "./verdict.ts";
import { Writing } from "./writing.ts";

/** Number of faults at the same time, on different parts. */
const LANES = 2;
const KEYS = 40;
/** The share of writes that drop, rename or replace a whole collection: a few per minute. */
const REPLACEMENTS = 0.003;
/** Written before the processes start, for the snapshot. */
const FIRST_WRITES = 500;
/** At most so many differences are printed. */
const SHOWN = 20;

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly json: boolean;
  /** Selects faults by their kind. */
  readonly kinds: RegExp;
}

interface Result {
  readonly seed: number;
  readonly minutes: number;
  /** Writes to MongoDB. */
  readonly events: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly stepsBack: number;
  readonly differences: number;
  readonly equal: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "5" },
      seed: { type: "string" },
      json: { type: "boolean" },
      kinds: { type: "string", default: "" },
    },
  });
  const minutes = Number(values.minutes);
  const seed = Number(values.seed ?? Date.now() % 2 ** 32);
  if (!(minutes > 0) || !Number.isInteger(seed)) throw new Error("--minutes takes a number above 0, --seed an integer");
  return { minutes, seed, json: values.json === true, kinds: new RegExp(values.kinds) };
}

const startedAt = performance.now();

/** Progress goes to stderr; stdout has the result alone. */
function report(line: string): void {
  process.stderr.write(`[${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s] ${line}\n`);
}

async function torture(stack: Stack, options: Options): Promise<Result> {
  report(`seed ${options.seed}: --seed ${options.seed} repeats the same writes and faults; their timing still differs`);
  await using pipeline = await makePipeline(stack);
  report(`pipeline ${pipeline.name}, logs in ${pipeline.folder}`);
  const result = await run(pipeline, options);
  if (result.equal) await rm(pipeline.folder, { recursive: true });
  return result;
}

async function run(pipeline: TorturePipeline, { minutes, seed, kinds }: Options): Promise<Result> {
  const { mongodb, name, createProcess } = pipeline;
  const random = seededRandom(seed);
  const model = new ModelWriter({
    client: mongodb,
    db: mongodb.db(name),
    random,
    collections,
    keys: KEYS,
    replacements: REPLACEMENTS,
  });
  for (let write = 0; write < FIRST_WRITES; write++) await model.step();
  // The last writes may have dropped some, but the config names all of them.
  for (const collection of collections) await mongodb.db(name).createCollection(collection).catch(ignoreExisting);
  const fleet: Fleet = new Fleet({
    create: createProcess,
    serversWereAway: (sinceMs) => schedule.serversWereAway(sinceMs),
    report,
  });
  const writing = new Writing(model, random);
  const context: TortureContext = { ...pipeline, fleet, writing };
  const restarts = restartFaults(pipeline.restarts);
  const all = [...processFaults, ...networkFaults, ...postgresFaults, ...mongodbFaults, ...restarts, ...lifeFaults];
  const faults = all.filter(({ kind }) => kinds.test(kind));
  const schedule: Schedule = new Schedule({ faults, context, report });
  // Also if an interrupt ends this process.
  process.once("exit", () => void fleet.close());
  try {
    fleet.replace("produce");
    fleet.replace("consume");
    for (let tries = 0; tries < 1_000 && (await auditEntries(pipeline.postgres)) === 0; tries++) await sleep(100);
    const untilMs = Date.now() + minutes * 60_000;
    const lanes = Array.from({ length: LANES }, (_, lane) => schedule.run(seededRandom(seed + 1 + lane), untilMs));
    await Promise.all(lanes);
    await writing.end();
    report(`${model.operations} writes; all faults are healed; comparing`);
    const verdict = await judge(context, model.history);
    for (const command of ["produce", "consume"] as const) await fleet.stop(fleet.main(command));
    const differences = [...fleet.failures, ...verdict.differences];
    for (const difference of differences.slice(0, SHOWN)) report(difference);
    const counts = Object.fromEntries([...schedule.counts].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    report(`faults: ${JSON.stringify(counts, null, 2)}`);
    report(`the rows showed ${verdict.states} states; ${fleet.restartsAtStart} starts were repeated`);
    return {
      seed,
      minutes,
      events: model.operations,
      faults: counts,
      stepsBack: verdict.stepsBack,
      differences: differences.length,
      equal: differences.length === 0,
    };
  } finally {
    await fleet.close();
    await model.close();
  }
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof MongoServerError) || error.codeName !== "NamespaceExists") throw error;
}

async function main(signal: AbortSignal): Promise<void> {
  const options = readOptions();
  const stack = await startStack({ report, signal, hasElections: true });
  try {
    const result = await torture(stack, options);
    if (options.json) console.log(JSON.stringify(result));
    else console.log(result.equal ? "Everything is equal." : `${result.differences} differences: see above.`);
    if (!result.equal) process.exitCode = 1;
  } finally {
    await stack.stop();
  }
}

const interrupt = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => {
    interrupt.abort(new Error(`interrupted by ${name}`));
    process.exit(130);
  });
}
await main(interrupt.signal).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
// Explicitly: after an hour of cut connections, Node 24.21 once waited forever for a handle to close.
process.exit();
