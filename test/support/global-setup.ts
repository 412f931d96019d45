import type { TestProject } from "vitest/node";
import type { ServerUrls } from "../../dev/stack/server-urls.ts";
import { startStack } from "../../dev/stack/stack.ts";
import type { Stack } from "../../dev/stack/types.ts";

declare module "vitest" {
  export interface ProvidedContext {
    servers: ServerUrls;
    stackKind: Stack["kind"];
  }
}

/** Starts one stack for all tests with servers. Addresses in the environment replace its servers. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = await startStack({ report: (line) => process.stderr.write(`${line}\n`) });
  const { mongodbUri, kafkaBrokers, schemaRegistryUrl, postgresUrl } = stack;
  project.provide("servers", { mongodbUri, kafkaBrokers, schemaRegistryUrl, postgresUrl });
  project.provide("stackKind", stack.kind);
  return () => stack.stop();
}
