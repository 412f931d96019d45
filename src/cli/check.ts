import { Command } from "commander";
import { collectionConfig } from "../config/collections-schema.ts";
import type { CollectionConfig } from "../config/collections-schema.ts";
import type { Config } from "../config/config-schema.ts";
import { EXIT_DONE, EXIT_FATAL } from "../runtime/lifecycle.ts";
import type { Logger } from "../runtime/logger.ts";
import { checkKafka } from "./check-kafka.ts";
import { checkMongodb } from "./check-mongodb.ts";
import type { MongodbChecks } from "./check-mongodb.ts";
import { checkPostgres } from "./check-postgres.ts";
import { checkRegistry } from "./check-registry.ts";
import { collect } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";
import { onConfig } from "./command-context.ts";
import { serverNames } from "./connections.ts";

export function checkCommand(): Command {
  const command = new Command("check").description(
    "Connect to all four servers and say everything that is wrong, before any data moves. Changes nothing.",
  );
  return onConfig(command, "question", async ({ config, logger }) => {
    const results = await runChecks(config, logger);
    process.stdout.write(report(config, results));
    return results.some(({ problem }) => problem !== null) ? EXIT_FATAL : EXIT_DONE;
  });
}

/** Everything that can be known to go wrong, in the order of the data's way. */
export async function runChecks(config: Config, logger: Logger): Promise<readonly CheckResult[]> {
  const mongodb = checkMongodb(config);
  const collections = await collectionsOf(config, mongodb);
  const names = collections.map(({ mapping }) => mapping.collection);
  const others = await Promise.all([
    collect(checkKafka(config, names, logger)),
    collect(checkRegistry(config, collections)),
    collect(checkPostgres(config, logger)),
  ]);
  return [...(await mongodb).results, ...others.flat()];
}

/** Those of the config; where it names none, those that the database has. */
async function collectionsOf(config: Config, mongodb: Promise<MongodbChecks>): Promise<readonly CollectionConfig[]> {
  if (config.collections !== undefined) return Object.values(config.collections);
  const { collections } = await mongodb;
  return (collections ?? []).map((name) => collectionConfig(name));
}

function report(config: Config, results: readonly CheckResult[]): string {
  const names = serverNames(config);
  const lines: string[] = [];
  let server: string | undefined;
  for (const { server: kind, what, problem } of results) {
    if (names[kind] !== server) lines.push(names[kind]);
    server = names[kind];
    lines.push(`  ${problem === null ? "✓" : "✗"} ${what}`);
    if (problem !== null) lines.push(`      ${problem.message}`, `      → ${problem.remedy}`);
  }
  const wrong = results.filter(({ problem }) => problem !== null).length;
  lines.push("", wrong === 0 ? "Everything is as it should be." : `${wrong} of ${results.length} checks failed.`);
  return `${lines.join("\n")}\n`;
}
