import type { CollectionConfig } from "../../config/collections-schema.ts";
import type { Config } from "../../config/config-schema.ts";
import { replicationOf, takesOthers } from "../../config/replication.ts";
import { HeadraceError } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import { START_PATIENCE, logRetries, retry } from "../../runtime/retry.ts";
import { schemaRegistry, serverNames } from "../connections.ts";
import type { ServerKind } from "../connections.ts";
import { checkKafka } from "./check-kafka.ts";
import type { MongodbChecks } from "./check-mongodb.ts";
import { checkPostgres } from "./check-postgres.ts";
import { checkRegistry } from "./check-registry.ts";
import { collect } from "./check-result.ts";
import type { CheckProblem, CheckResult } from "./check-result.ts";
import { rolesOf } from "./kafka-rights.ts";
import { planCollections } from "./planned-collections.ts";

export const PRODUCER_SERVERS: readonly ServerKind[] = ["mongodb", "kafka", "schemaRegistry"];
export const CONSUMER_SERVERS: readonly ServerKind[] = ["kafka", "schemaRegistry", "postgres"];
export const ALL_SERVERS: readonly ServerKind[] = ["mongodb", "kafka", "schemaRegistry", "postgres"];

const NO_CHECKS: MongodbChecks = { results: [], idTypes: new Map() };

/**
 * Runs the checks of some servers. The results come in the order in which data passes the servers. The collections that the
 * config does not name are unknown, and not checked, if MongoDB is not among the servers.
 */
export async function runChecks(
  config: Config,
  servers: readonly ServerKind[],
  logger: Logger,
): Promise<readonly CheckResult[]> {
  const has = (kind: ServerKind) => servers.includes(kind);
  const mongodb = has("mongodb") ? runMongodbChecks(config, logger) : Promise.resolve(NO_CHECKS);
  const collections = await collectionsOf(config, mongodb);
  const registry = schemaRegistry(config);
  const planned = mongodb.then(({ idTypes }) => planCollections(config, collections, { registry, found: idTypes }));
  const names = collections.map(({ mapping }) => mapping.collection);
  const others = await Promise.all([
    has("kafka") ? collect(checkKafka(config, { roles: rolesOf(servers), collections: names }, logger)) : [],
    has("schemaRegistry") ? planned.then((plan) => collect(checkRegistry(config, plan, registry))) : [],
    has("postgres") ? planned.then((plan) => collect(checkPostgres(config, plan))) : [],
  ]);
  return [...(await mongodb).results, ...others.flat()];
}

/** Loads MongoDB's driver only if it is needed: it would take a seventh of a consumer's loading time. */
async function runMongodbChecks(config: Config, logger: Logger): Promise<MongodbChecks> {
  const { checkMongodb } = await import("./check-mongodb.ts");
  const { collectionsWithTopic } = await import("../source-database.ts");
  // Without Kafka, which has a check of its own, a collection may be named in place of the one that it cannot be beside.
  return await checkMongodb(config, () => collectionsWithTopic(config, logger).catch(() => []));
}

/** The collections of the config, and those of the database that it takes without naming them. */
async function collectionsOf(config: Config, mongodb: Promise<MongodbChecks>): Promise<readonly CollectionConfig[]> {
  const { collections } = config;
  const named = [...(collections?.values() ?? [])];
  if (!takesOthers(config)) return named;
  const { idTypes } = await mongodb;
  const others = [...idTypes.keys()].filter((name) => collections?.has(name) !== true);
  return [...named, ...others.flatMap((name) => replicationOf(config, name) ?? [])];
}

/**
 * Runs the checks of the servers that a command needs. Repeats them for a minute while the only problems are retryable.
 * @throws HeadraceError with the code of the problems, or CHECKS_FAILED if they have several; its message lists all
 */
export async function requireServers(
  config: Config,
  servers: readonly ServerKind[],
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const attempt = async (): Promise<void> => {
    const results = await runChecks(config, servers, logger);
    const problems = results.flatMap(({ server, problem }) => (problem === null ? [] : [{ server, problem }]));
    if (problems.length > 0) throw checksFailed(config, problems);
    for (const { warning } of results) if (warning !== null) logger.warn({ remedy: warning.remedy }, warning.message);
  };
  await retry(attempt, { signal, ...START_PATIENCE, onRetry: logRetries(logger, "starting") });
}

function checksFailed(
  config: Config,
  problems: readonly { readonly server: ServerKind; readonly problem: CheckProblem }[],
): HeadraceError {
  const names = serverNames(config);
  const isPassing = problems.every(({ problem }) => problem.kind === "retryable");
  const codes = new Set(problems.map(({ problem }) => problem.code));
  const [code] = codes;
  return new HeadraceError(codes.size === 1 && code !== undefined ? code : "CHECKS_FAILED", {
    kind: isPassing ? "retryable" : "fatal",
    message: problems.map(({ server, problem }) => `${names[server]}: ${problem.message}`).join("; "),
    remedy: [...new Set(problems.map(({ problem }) => problem.remedy))].join(" "),
  });
}
