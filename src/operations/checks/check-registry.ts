import type { Config } from "../../config/config-schema.ts";
import { HeadraceError } from "../../errors/error.ts";
import type { CollectionSchema } from "../../schemas/mapping/collection-schema.ts";
import { maySetCompatibility, requireCompatibility } from "../../schemas/registry/compatibility.ts";
import { registeredDefinitions } from "../../schemas/registry/registry.ts";
import type { SchemaRegistry } from "../../schemas/registry/registry.ts";
import { RegistryRefusal, RegistryTransport } from "../../schemas/registry/transport.ts";
import { topicOf } from "../../schemas/topics.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult } from "./check-result.ts";
import { schemaOf } from "./planned-collections.ts";
import type { PlannedCollection } from "./planned-collections.ts";

/** Checks that the registry would accept the collections' schemas. Registers nothing. */
export async function* checkRegistry(
  config: Config,
  planned: readonly PlannedCollection[],
  registry: SchemaRegistry,
): AsyncGenerator<CheckResult> {
  const reachable = await runCheck("schemaRegistry", "is reachable", async () => {
    await registry.latest(`${config.name}-key`);
  });
  yield reachable;
  if (reachable.problem !== null) return;
  for (const { config: collection, problem } of planned) {
    if (problem === null) continue;
    const what = `has keys of the idType that the config gives to ${collection.mapping.collection}`;
    yield await runCheck("schemaRegistry", what, () => Promise.reject(problem));
  }
  yield await runCheck("schemaRegistry", "accepts the collections' schemas", async () => {
    const refusals: string[] = [];
    for (const { config: collection, idType, problem } of planned) {
      // Without an _id type there is no document yet, so no schema is registered. Another _id type is refused already.
      if (idType === undefined || problem !== null) continue;
      const topic = topicOf(config.name, config.mongodb.database, collection.mapping.collection);
      const schema = schemaOf(config, collection, idType, await registeredDefinitions(registry, topic));
      refusals.push(...(await refusalsOf(config, schema, registry)));
    }
    if (refusals.length > 0) throw schemasRefused(refusals);
  });
  yield await runCheck(
    "schemaRegistry",
    "lets the user set the compatibility of the subjects, or has a level of its own",
    () => checkCompatibility(config, planned),
  );
}

/** One subject stands for all: they have one prefix. */
async function checkCompatibility(config: Config, planned: readonly PlannedCollection[]): Promise<void> {
  const [first] = planned.filter(({ idType }) => idType !== undefined);
  const subject = `${first === undefined ? config.name : topicOf(config.name, config.mongodb.database, first.config.mapping.collection)}-key`;
  const transport = new RegistryTransport(config.schemaRegistry);
  if (!(await maySetCompatibility(transport, subject))) await requireCompatibility(transport, subject);
}

async function refusalsOf(config: Config, schema: CollectionSchema, registry: SchemaRegistry): Promise<string[]> {
  const refusals: string[] = [];
  for (const [subject, definition] of [
    [schema.keySubject, schema.keySchema],
    [schema.keySubject, schema.truncateKeySchema],
    [schema.valueSubject, schema.valueSchema],
  ] as const) {
    const known = await registry.latest(subject);
    const reason = known === undefined ? null : await incompatibility(config, subject, definition);
    if (reason !== null) refusals.push(`${subject}: ${reason}`);
  }
  return refusals;
}

/** The answer of Confluent's API to a compatibility request. */
interface CompatibilityAnswer {
  readonly is_compatible?: boolean;
  /** Set by Confluent's registry. */
  readonly messages?: readonly string[];
  /** Set by Apicurio. */
  readonly reason?: string;
}

/** The registry's reason to refuse a schema; null if it would accept it. The registry client has no call for this. */
async function incompatibility(config: Config, subject: string, definition: object): Promise<string | null> {
  const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest?verbose=true`;
  const question = { schema: JSON.stringify(definition) };
  try {
    const transport = new RegistryTransport(config.schemaRegistry);
    const answer: CompatibilityAnswer = await transport.request("POST", path, question);
    if (answer.is_compatible !== false || (await isRegistered(transport, subject, question))) return null;
    return answer.messages?.join("; ") ?? answer.reason ?? "not compatible";
  } catch (error) {
    if (!(error instanceof RegistryRefusal)) throw error;
    return `the registry refuses to check compatibility (HTTP status ${error.status})`;
  }
}

/** A registered schema is accepted again, also if later ones are not compatible with it. */
async function isRegistered(transport: RegistryTransport, subject: string, question: object): Promise<boolean> {
  try {
    await transport.request("POST", `/subjects/${encodeURIComponent(subject)}`, question);
    return true;
  } catch (error) {
    if (error instanceof RegistryRefusal && error.status === 404) return false;
    throw error;
  }
}

function schemasRefused(refusals: readonly string[]): HeadraceError {
  return new HeadraceError("SCHEMA_REFUSED", {
    message: `The registry would refuse schemas that are not compatible with the registered ones: ${refusals.join("; ")}`,
  });
}
