import { startEnvStack } from "./stack-env.ts";
import { startLocalStack } from "./stack-local.ts";
import { serverUrlsFrom, serverVariables } from "./server-urls.ts";
import type { ServerUrls } from "./server-urls.ts";

/** Real servers for the demo, the tests and the bench. */
export interface Stack extends ServerUrls {
  readonly kind: "env" | "local";
  /** Crashes a server (of MongoDB the primary) and starts it again with what it has on disk; of those started here. */
  readonly restarts: Readonly<Partial<Record<keyof ServerUrls, () => Promise<void>>>>;
  /** Ends everything that this stack has started and removes its data. Safe to call more than once. */
  stop(): Promise<void>;
}

export interface StackOptions {
  /** Ends a start that is under way; what was started until then is stopped. */
  readonly signal?: AbortSignal;
  /** Gets one line of progress at a time, for people to read. */
  readonly report?: (line: string) => void;
  /** Whether a MongoDB that is started here has three members, which elect another primary, instead of one. */
  readonly hasElections?: boolean;
  /** Where the choice and the addresses are read from; the process's own environment by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Gives a MongoDB replica set, Kafka, a schema registry and PostgreSQL.
 *
 * `HEADRACE_STACK` chooses how: `env` takes the four addresses from the environment, `local` starts local
 * processes. Unset: addresses that are given are used, the other servers are started as local processes.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const env = options.env ?? process.env;
  const choice = env["HEADRACE_STACK"] ?? "";
  const given = serverUrlsFrom(env);
  const start = {
    signal: options.signal ?? new AbortController().signal,
    report: options.report ?? (() => {}),
    hasElections: options.hasElections ?? false,
  };
  switch (choice) {
    case "":
      return Object.keys(given).length === serverVariables.length
        ? startEnvStack(given)
        : await startLocalStack(given, start);
    case "env":
      return startEnvStack(given);
    case "local":
      return await startLocalStack({}, start);
    case "docker":
      throw new Error("HEADRACE_STACK=docker is not available yet: use env or local, or leave it unset.");
    default:
      throw new Error(`HEADRACE_STACK is ${JSON.stringify(choice)}: use env or local, or leave it unset.`);
  }
}
