import { chooseStack } from "./choice.ts";
import type { StackChoice } from "./choice.ts";
import { startEnvStack } from "./env.ts";
import { startLocalStack } from "./local/stack.ts";
import { serverUrlsFrom } from "./server-urls.ts";
import type { Stack, StartOptions } from "./types.ts";

export interface StackOptions extends Partial<StartOptions> {
  /** Holds the choice and the addresses; by default the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Gives a MongoDB replica set, Kafka, a schema registry and PostgreSQL.
 *
 * `HEADRACE_STACK` chooses how: `env` takes the four addresses from the environment, `docker` starts containers,
 * `local` starts local processes. If it is not set: with some addresses given, the other servers start as local processes.
 * With no address given, the servers start in containers if a Docker engine answers and has the images or can pull them,
 * otherwise as local processes.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const env = options.env ?? process.env;
  const given = serverUrlsFrom(env);
  const start: StartOptions = {
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

/** Imported only when it is used: testcontainers takes long to load. */
const docker = () => import("./docker/stack.ts");
