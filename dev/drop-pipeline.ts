import type { MongoClient } from "mongodb";
import type { Pool } from "pg";
import { configSchema } from "../src/config/config-schema.ts";
import { withRemoval } from "../src/operations/removal.ts";
import { createLogger } from "../src/runtime/logger.ts";
import { retry } from "../src/runtime/retry.ts";
import type { Stack } from "./stack/types.ts";

/** A pipeline whose source database and target schema have its name. */
interface NamedPipeline {
  readonly name: string;
  readonly stack: Stack;
  readonly source: MongoClient;
  readonly target: Pool;
}

/** A killed consumer stays a member of its group for this long. */
const SESSION_TIMEOUT_MS = 60_000;

/** Removes everything of a pipeline from its servers. Does nothing for a local stack, which removes its data itself. */
export async function dropPipeline({ name, stack, source, target }: NamedPipeline): Promise<void> {
  if (stack.kind === "local") return;
  const config = configSchema.parse({
    name,
    mongodb: { uri: stack.mongodbUri, database: name },
    kafka: { brokers: stack.kafkaBrokers },
    schemaRegistry: { url: stack.schemaRegistryUrl },
    postgres: { url: stack.postgresUrl, schema: name },
  });
  const { signal } = new AbortController();
  const options = { config, logger: createLogger({ level: "silent" }), signal, collection: null, dropsTables: true };
  await retry(() => withRemoval(options, (_removal, remove) => remove()), { signal, maxElapsedMs: SESSION_TIMEOUT_MS });
  await source.db(name).dropDatabase();
  await target.query(`DROP SCHEMA IF EXISTS "${name}" CASCADE`);
}
