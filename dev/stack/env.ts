import { serverVariables } from "./server-urls.ts";
import type { ServerUrls } from "./server-urls.ts";
import type { Stack } from "./types.ts";

/** Servers that somebody else runs: nothing is started, nothing is stopped. */
export function startEnvStack(given: Partial<ServerUrls>): Stack {
  const missing = serverVariables.filter(([key]) => given[key] === undefined).map(([, variable]) => variable);
  const { mongodbUri, kafkaBrokers, schemaRegistryUrl, postgresUrl } = given;
  if (!mongodbUri || !kafkaBrokers || !schemaRegistryUrl || !postgresUrl) {
    throw new Error(`HEADRACE_STACK=env needs the addresses of all four servers: set ${missing.join(", ")} too.`);
  }
  return { kind: "env", mongodbUri, kafkaBrokers, schemaRegistryUrl, postgresUrl, restarts: {}, stop: async () => {} };
}
