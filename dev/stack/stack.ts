import { chooseStack } from "./choice.ts";
import type { StackChoice } from "./choice.ts";
import { startEnvStack } from "./env.ts";
import { startLocalStack } from "./local/stack.ts";
import { serverUrlsFrom } from "./server-urls.ts";
import type { ServerUrls } from "./server-urls.ts";

/** Real servers for the demo, the tests and the bench. */
export interface Stack extends ServerUrls {
  readonly kind: "env" | "docker" | "local";
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
 * `HEADRACE_STACK` chooses how: `env` takes the four addresses from the environment, `docker` starts containers,
 * `local` starts local processes. Unset: addresses that are given are used, and the other servers are started as local
 * processes; with no address given, in containers where a Docker engine answers and has the images or can pull them.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const env = options.env ?? process.env;
  const given = serverUrlsFrom(env);
  const start = {
    signal: options.signal ?? new AbortController().signal,
    report: options.report ?? (() => {}),
    hasElections: options.hasElections ?? false,
  };
  const starts: Readonly<Record<StackChoice, () => Stack | Promise<Stack>>> = {
    env: () => startEnvStack(given),
    local: () => startLocalStack({}, start),
    docker: async () => (await docker()).startDockerStack(start),
    "env, else local": () => startLocalStack(given, start),
    "docker, else local": async () => (await (await docker()).tryDockerStack(start)) ?? startLocalStack({}, start),
  };
  return await starts[chooseStack(env["HEADRACE_STACK"] ?? "", given)]();
}

/** Loaded only where it is used: it takes a while. */
const docker = () => import("./docker/stack.ts");
