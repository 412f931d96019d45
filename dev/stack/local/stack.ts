import { THREE_MEMBERS } from "../server-settings.ts";
import type { ServerUrls } from "../server-urls.ts";
import { serverVariables } from "../server-urls.ts";
import { stackOf, startTogether } from "../started-servers.ts";
import type { Stack, StartOptions } from "../types.ts";
import { cacheFolder } from "./cache.ts";
import { prepareKafka } from "./kafka.ts";
import { prepareMongodb } from "./mongodb.ts";
import { preparePostgres } from "./postgres.ts";
import { prepareRegistry } from "./registry.ts";
import { Supervisor } from "./supervisor.ts";
import type { LocalContext, StartServer } from "./types.ts";

/**
 * Finds out how a server can start on this machine, without downloading anything.
 * Rejects with one sentence when a tool is missing.
 */
type PrepareServer = (cache: string, signal: AbortSignal, options: StartOptions) => Promise<StartServer>;

const local: Readonly<Record<keyof ServerUrls, PrepareServer>> = {
  mongodbUri: (cache, signal, { hasElections }) => prepareMongodb(cache, signal, hasElections ? THREE_MEMBERS : {}),
  kafkaBrokers: prepareKafka,
  schemaRegistryUrl: prepareRegistry,
  postgresUrl: preparePostgres,
};

/**
 * Starts the servers that are not given: as local processes, on free ports of 127.0.0.1, with data in a temporary folder.
 */
export async function startLocalStack(given: Partial<ServerUrls>, options: StartOptions): Promise<Stack> {
  const { signal, report } = options;
  const cache = cacheFolder(process.env);
  const wanted = serverVariables.map(([key]) => key).filter((key) => given[key] === undefined);
  const starts = await allOf(wanted.map(async (key) => [key, await local[key](cache, signal, options)] as const));

  const supervisor = await Supervisor.start(report);
  try {
    const context: LocalContext = { supervisor, cache, signal, report };
    const started = await startTogether(context, starts);
    return stackOf("local", given, started, () => supervisor.stop());
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

/** Like Promise.all, but its one error names everything that is missing. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason as Error] : []));
  if (failures.length > 0) {
    const sentences = new Set(failures.map((failure) => failure.message));
    throw new AggregateError(failures, [...sentences].join("\n"));
  }
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}
