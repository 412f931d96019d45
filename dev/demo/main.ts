import { randomBytes } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { Pool } from "pg";
import { dropPipeline } from "../drop-pipeline.ts";
import { HeadraceProcess } from "../headrace-process.ts";
import { startStack } from "../stack/stack.ts";
import type { Stack } from "../stack/types.ts";
import { copySnapshot } from "./copy-snapshot.ts";
import type { Demo } from "./demo.ts";
import { makeLiveChanges } from "./live-changes.ts";
import { say, step } from "./output.ts";
import { showPoison } from "./poison.ts";
import { showQueries } from "./queries.ts";
import { loadSampleData } from "./sample-data.ts";
import { showSummary } from "./summary.ts";
import { verify } from "./verify.ts";

const keep = process.argv.includes("--keep");

async function main(signal: AbortSignal): Promise<void> {
  say("Starting MongoDB, Kafka, a schema registry and PostgreSQL …");
  const stack = await startStack({ report: say, signal });
  try {
    await withDemo(stack, async (demo) => {
      const ends = [aborted(signal), ...demo.processes.map((each) => each.unexpectedEnd())];
      await Promise.race([runDemo(demo), ...ends]);
      if (keep) await stayUp(demo, ends);
    });
  } finally {
    await stack.stop();
  }
}

async function withDemo(stack: Stack, use: (demo: Demo) => Promise<void>): Promise<void> {
  const name = `headrace_demo_${randomBytes(3).toString("hex")}`;
  const config = new URL("headrace.yaml", import.meta.url).pathname;
  const env = {
    ...process.env,
    DEMO_NAME: name,
    HTTP_PORT: "0", // any free port, because both processes run on this machine
    MONGODB_URI: stack.mongodbUri,
    KAFKA_BROKERS: stack.kafkaBrokers,
    SCHEMA_REGISTRY_URL: stack.schemaRegistryUrl,
    POSTGRES_URL: stack.postgresUrl,
  };
  const source = await new MongoClient(stack.mongodbUri).connect();
  const target = new Pool({ connectionString: stack.postgresUrl });
  const logs = await mkdtemp(join(tmpdir(), "headrace-demo-"));
  const background = (command: string): HeadraceProcess =>
    new HeadraceProcess({ args: [command, "-c", config], env, logFile: join(logs, `${command}.log`) });
  const processes = [background("produce"), background("consume")] as const;
  const demo: Demo = { name, stack, source, target, config, env, processes };
  try {
    await use(demo);
  } finally {
    await Promise.all(processes.map((each) => each.stop()));
    if (!keep) await dropPipeline(demo);
    await target.end();
    await source.close();
  }
}

async function runDemo(demo: Demo): Promise<void> {
  const counts = await step("Loading 135,233 cities, 3,201 movies and 1,707 earthquakes into MongoDB", () =>
    loadSampleData(demo.source.db(demo.name)),
  );
  const copied = await copySnapshot(demo, counts);
  const live = await step("Changing cities for 5 s while the pipeline runs", () =>
    makeLiveChanges(demo.source.db(demo.name), demo.target, { durationMs: 5_000, table: `${demo.name}.cities` }),
  );
  await showPoison(demo);
  const verified = await step("Comparing every document with its row (headrace verify)", () => verify(demo));
  await showQueries(demo);
  showSummary(demo, { copied, live, verified });
}

async function stayUp(demo: Demo, ends: readonly Promise<never>[]): Promise<void> {
  say(`\nEverything stays up until Ctrl-C. The pipeline's config: ${demo.config}\n`);
  for (const name of ["DEMO_NAME", "HTTP_PORT", "MONGODB_URI", "KAFKA_BROKERS", "SCHEMA_REGISTRY_URL", "POSTGRES_URL"])
    say(`  export ${name}='${demo.env[name]}'`);
  say(`\n  psql "$POSTGRES_URL" -c 'SELECT * FROM ${demo.name}.cities LIMIT 5'`);
  await Promise.race(ends);
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

const interrupt = new AbortController();
process.once("SIGINT", () => interrupt.abort(new Error("interrupted")));
process.once("SIGTERM", () => interrupt.abort(new Error("terminated")));
await main(interrupt.signal).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = interrupt.signal.aborted ? 130 : 1;
});
