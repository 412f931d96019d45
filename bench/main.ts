// npm run bench: what the pipeline does, as a ratio to what the servers themselves do in the same run.
import { Command, InvalidArgumentError } from "commander";
import { startStack } from "../dev/stack/stack.ts";
import type { Scenario } from "./scenario.ts";
import { drain } from "./scenarios/drain.ts";
import { latency } from "./scenarios/latency.ts";
import { liveInSnapshot } from "./scenarios/live-in-snapshot.ts";
import { collections, growth, hotKeys, large, tiny, wide } from "./scenarios/shapes.ts";
import { snapshot } from "./scenarios/snapshot.ts";
import { warmUp } from "./warm-up.ts";

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  snapshot,
  drain,
  latency,
  liveInSnapshot,
  wide,
  large,
  tiny,
  hotKeys,
  collections,
  growth,
};

interface Options {
  readonly json?: true;
  readonly only?: readonly string[];
  readonly runs: number;
  readonly scale: number;
}

const startedAt = performance.now();

/** Progress goes to stderr; stdout has the result alone. */
function report(line: string): void {
  process.stderr.write(`[${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s] ${line}\n`);
}

async function bench(
  { only = Object.keys(SCENARIOS), runs, scale, json }: Options,
  signal: AbortSignal,
): Promise<void> {
  const stack = await startStack({ report, signal });
  const result: Record<string, object> = {};
  try {
    report("— warm-up");
    await warmUp({ stack, report });
    for (const name of only) {
      report(`— ${name}`);
      const scenario = SCENARIOS[name];
      if (scenario !== undefined) result[name] = await scenario({ stack, runs, scale, report });
    }
  } finally {
    await stack.stop();
  }
  process.stdout.write(json === true ? `${JSON.stringify(result)}\n` : `${JSON.stringify(result, undefined, 2)}\n`);
}

function scenarioNames(text: string): readonly string[] {
  const names = text.split(",");
  const unknown = names.find((name) => SCENARIOS[name] === undefined);
  if (unknown === undefined) return names;
  throw new InvalidArgumentError(`There is no ${unknown}; there are ${Object.keys(SCENARIOS).join(", ")}.`);
}

function positive(text: string): number {
  const number = Number(text);
  if (number > 0) return number;
  throw new InvalidArgumentError("A number above 0 is wanted.");
}

const command = new Command("bench")
  .description("Measures the pipeline beside what the servers themselves can do.")
  .option("--only <names>", `some of ${Object.keys(SCENARIOS).join(", ")}, with commas between them`, scenarioNames)
  .option("--runs <count>", "each figure is the median of so many", positive, 3)
  .option("--scale <factor>", "of the numbers of documents; less than 1 for a quick look", positive, 1)
  .option("--json", "print the result as one line")
  .parse();

const interrupt = new AbortController();
process.once("SIGINT", () => interrupt.abort(new Error("interrupted")));
await bench(command.opts<Options>(), interrupt.signal);
