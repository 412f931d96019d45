// npm run bench: what the pipeline does, beside what the servers themselves do in the same run.
import { Command } from "commander";
import { startStack } from "../dev/stack/stack.ts";
import { positive, report, someOf } from "./command-line.ts";
import { currentCommit, describeMachine } from "./machine.ts";
import { figuresOf } from "./record.ts";
import type { BenchOptions } from "./record.ts";
import { saveRecord } from "./save-record.ts";
import type { Circumstances } from "./save-record.ts";
import type { Scenario } from "./scenario.ts";
import { drain } from "./scenarios/drain.ts";
import { intervals } from "./scenarios/intervals.ts";
import { latency } from "./scenarios/latency.ts";
import { liveInSnapshot } from "./scenarios/live-in-snapshot.ts";
import { oldJob, plainScript } from "./scenarios/scripts.ts";
import { collections, growth, hotKeys, large, tiny, wide } from "./scenarios/shapes.ts";
import { snapshot } from "./scenarios/snapshot.ts";
import { tenMillion } from "./scenarios/ten-million.ts";
import { trickle } from "./scenarios/trickle.ts";
import { warmUp } from "./warm-up.ts";

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  snapshot,
  drain,
  latency,
  trickle,
  intervals,
  liveInSnapshot,
  wide,
  large,
  tiny,
  hotKeys,
  collections,
  growth,
  tenMillion,
  oldJob,
  plainScript,
};
const SCENARIO_NAMES = Object.keys(SCENARIOS);
/** `tenMillion` takes ten minutes and 20 GB. The scripts do not change when Headrace does. */
const ONLY_WHEN_NAMED: ReadonlySet<string> = new Set(["tenMillion", "oldJob", "plainScript"]);

interface Options {
  readonly json?: true;
  readonly save?: true;
  readonly only?: readonly string[];
  readonly runs: number;
  readonly scale: number;
  readonly warmUp: boolean;
}

type Results = Readonly<Record<string, object>>;

async function bench(options: Options, signal: AbortSignal): Promise<void> {
  const measuredAt = new Date().toISOString();
  // Before minutes of measuring: a problem with git should not cost the result.
  const commit = options.save === true ? await currentCommit() : undefined;
  const stack = await startStack({ report, signal });
  let results: Results;
  let circumstances: Circumstances | undefined;
  try {
    if (commit !== undefined) circumstances = { ...commit, measuredAt, machine: await describeMachine(stack) };
    results = await measure(options, { stack, report });
  } finally {
    await stack.stop();
  }
  process.stdout.write(`${JSON.stringify(results, undefined, options.json === true ? 0 : 2)}\n`);
  const { runs, scale, warmUp: isWarm } = options;
  if (circumstances !== undefined) await save(circumstances, { runs, scale, isWarm }, results);
}

async function measure(
  { only = SCENARIO_NAMES.filter((name) => !ONLY_WHEN_NAMED.has(name)), runs, scale, warmUp: isWarm }: Options,
  context: Parameters<typeof warmUp>[0],
): Promise<Results> {
  if (isWarm) {
    report("— warm-up");
    await warmUp(context);
  }
  const results: Record<string, object> = {};
  for (const name of only) {
    report(`— ${name}`);
    const scenario = SCENARIOS[name];
    if (scenario !== undefined) results[name] = await scenario({ ...context, runs, scale });
  }
  return results;
}

async function save(circumstances: Circumstances, options: BenchOptions, results: Results): Promise<void> {
  report(`saved as ${await saveRecord({ ...circumstances, options, figures: figuresOf(results) })}`);
}

const command = new Command("bench")
  .description("Measures the pipeline, and beside it what the servers themselves can do.")
  .option("--only <names>", `some of ${SCENARIO_NAMES.join(", ")}; comma-separated`, someOf(SCENARIO_NAMES))
  .option("--runs <count>", "runs per figure; the figure is their median", positive, 3)
  .option("--scale <factor>", "factor for the numbers of documents; less than 1 for a quick look", positive, 1)
  .option("--no-warm-up", "measure cold servers; saves minutes, but the figures compare with nothing")
  .option("--save", "also write the figures to bench/history, with the commit and the machine")
  .option("--json", "print the result as one line")
  .parse();

const interrupt = new AbortController();
process.once("SIGINT", () => interrupt.abort(new Error("interrupted")));
await bench(command.opts<Options>(), interrupt.signal);
