import { THREE_MEMBERS } from "../server-settings.ts";
import type { ServerUrls } from "../server-urls.ts";
import { serverVariables } from "../server-urls.ts";
import type { Stack } from "../stack.ts";
import { stackOf, startTogether } from "../started-servers.ts";
import type { StartedServer } from "../started-servers.ts";
import { cacheFolder } from "./cache.ts";
import { prepareKafka } from "./kafka.ts";
import { prepareMongodb } from "./mongodb.ts";
import { preparePostgres } from "./postgres.ts";
import { prepareRegistry } from "./registry.ts";
import { Supervisor } from "./supervisor.ts";

/** What a local server is started with. */
export interface LocalContext {
  readonly supervisor: Supervisor;
  /** Where finished downloads are kept. */
  readonly cache: string;
  readonly signal: AbortSignal;
  readonly report: (line: string) => void;
}

/** Downloads what is not in the cache yet, starts the server and waits until a client can use it. */
export type StartServer = (context: LocalContext) => Promise<StartedServer>;

/**
 * Finds out how a server can be started here, without downloading anything.
 * Rejects with one sentence when something is missing.
 */
type PrepareServer = (cache: string, signal: AbortSignal, options: LocalOptions) => Promise<StartServer>;

interface LocalOptions extends Pick<LocalContext, "signal" | "report"> {
  readonly hasElections: boolean;
}

const local: Readonly<Record<keyof ServerUrls, PrepareServer>> = {
  mongodbUri: (cache, signal, { hasElections }) => prepareMongodb(cache, signal, hasElections ? THREE_MEMBERS : {}),
  kafkaBrokers: prepareKafka,
  schemaRegistryUrl: prepareRegistry,
  postgresUrl: preparePostgres,
};

/** Starts as local processes, on free ports of 127.0.0.1 and with data in a temporary folder, what is not given. */
export async function startLocalStack(given: Partial<ServerUrls>, options: LocalOptions): Promise<Stack> {
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

/** As Promise.all, but one error says everything that is missing. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason as Error] : []));
  if (failures.length > 0) {
    const sentences = new Set(failures.map((failure) => failure.message));
    throw new AggregateError(failures, [...sentences].join("\n"));
  }
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}
