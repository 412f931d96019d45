import type { Kafka } from "kafkajs";
import type { Config } from "../../config/config-schema.ts";
import { HeadraceError, errorCode } from "../../errors/error.ts";
import { missingRights } from "../../kafka/rights.ts";
import type { KafkaOperation, KafkaRight } from "../../kafka/rights.ts";
import { listTopics } from "../../kafka/topics.ts";
import type { Logger } from "../../runtime/logger.ts";
import {
  collectionOf,
  consumerGroup,
  deadLetterTopic,
  positionsTopic,
  signalsTopic,
  topicOf,
  transactionalId,
} from "../../schemas/topics.ts";
import { kafkaClient } from "../connections.ts";
import type { ServerKind } from "../connections.ts";

/** What a process does with Kafka. `headrace run` does both. */
export type KafkaRole = "producer" | "consumer";

/** The roles of a process that uses these servers: the producer needs MongoDB, the consumer PostgreSQL. */
export function rolesOf(servers: readonly ServerKind[]): readonly KafkaRole[] {
  return [
    ...(servers.includes("mongodb") ? (["producer"] as const) : []),
    ...(servers.includes("postgres") ? (["consumer"] as const) : []),
  ];
}

/** docs/rights.md has the same rights, as commands. */
const RIGHTS: Readonly<Record<KafkaRole, (name: string, collectionTopics: readonly string[]) => KafkaRight[]>> = {
  producer: (name, collectionTopics) => [
    { resource: "transactional-id", name: transactionalId(name), operation: "Write" },
    ...onTopics([positionsTopic(name)], "Read", "Write", "DescribeConfigs"),
    ...onTopics([signalsTopic(name)], "Read", "DescribeConfigs"),
    ...onTopics([deadLetterTopic(name), ...collectionTopics], "Write", "DescribeConfigs"),
  ],
  consumer: (name, collectionTopics) => [
    { resource: "group", name: consumerGroup(name), operation: "Read" },
    ...onTopics([...collectionTopics, positionsTopic(name)], "Read"),
    ...onTopics([signalsTopic(name)], "Describe", "Write"),
    ...onTopics([deadLetterTopic(name)], "Write"),
  ],
};

function onTopics(topics: readonly string[], ...operations: readonly KafkaOperation[]): KafkaRight[] {
  return topics.flatMap((name) => operations.map((operation) => ({ resource: "topic" as const, name, operation })));
}

interface RightOfRoles extends KafkaRight {
  readonly roles: readonly KafkaRole[];
}

/**
 * Checks that the user has the rights that the roles need. Of topics that do not exist yet, it only finds out whether the
 * user may know of them.
 * @param topics those of collections
 * @throws HeadraceError KAFKA_FORBIDDEN, which names each right, resource and role
 */
export async function requireRights(
  kafka: Kafka,
  config: Config,
  { roles, topics }: { readonly roles: readonly KafkaRole[]; readonly topics: readonly string[] },
): Promise<void> {
  const wanted = rightsOf(config.name, roles, topics);
  const missing = new Set(await missingRights(kafka, wanted));
  const lacking = wanted.filter((right) => missing.has(right));
  if (lacking.length > 0) throw forbidden(config, lacking);
}

/**
 * The topics to ask about where the config lists no collections: those that the user can see. A user who may not know of
 * topics sees none, and would wait for them for ever; so with none it is `shop.store.*`, of which the user must know.
 * @throws HeadraceError
 */
export async function visibleTopics(kafka: Kafka, { name, mongodb: { database } }: Config): Promise<readonly string[]> {
  const topics = await listTopics(kafka, (topic) => collectionOf(name, database, topic) !== undefined);
  return topics.length > 0 ? topics : [`${topicOf(name, database, "")}${ANY}`];
}

/** No topic has it in its name, but Kafka tells whether a prefix allows it. */
const ANY = "*";

/**
 * Finds out which right is missing, after Kafka has refused something while the process was running.
 * @returns the error itself if it is another one, or if no right is missing now
 */
export async function explainForbidden(
  error: unknown,
  config: Config,
  { roles, logger }: { readonly roles: readonly KafkaRole[]; readonly logger: Logger },
): Promise<unknown> {
  if (errorCode(error) !== "KAFKA_FORBIDDEN") return error;
  try {
    const kafka = await kafkaClient(config, logger);
    await requireRights(kafka, config, { roles, topics: await visibleTopics(kafka, config) });
  } catch (found) {
    if (errorCode(found) === "KAFKA_FORBIDDEN") return found;
  }
  return error;
}

function rightsOf(name: string, roles: readonly KafkaRole[], topics: readonly string[]): readonly RightOfRoles[] {
  const byRight = new Map<string, RightOfRoles>();
  for (const role of roles) {
    for (const right of RIGHTS[role](name, topics)) {
      const key = `${right.resource} ${right.name} ${right.operation}`;
      byRight.set(key, { ...right, roles: [...(byRight.get(key)?.roles ?? []), role] });
    }
  }
  return [...byRight.values()];
}

function forbidden(config: Config, lacking: readonly RightOfRoles[]): HeadraceError {
  const byResource = [...Map.groupBy(lacking, ({ resource, name }) => `${resource} ${name}`).values()];
  const texts = byResource.map((rights) => {
    const [{ resource, name } = rights[0] as RightOfRoles] = rights;
    const roles = [...new Set(rights.flatMap((right) => right.roles))];
    const operations = rights.map(({ operation }) => operation).join(" and ");
    return `${operations} on the ${resource.replace("-", " ")} ${name} (for the ${roles.join(" and the ")})`;
  });
  return new HeadraceError("KAFKA_FORBIDDEN", {
    message: `${userOf(config)} lacks rights in Kafka: ${texts.join("; ")}.`,
    remedy: `docs/rights.md lists all rights that a pipeline needs. Run as an administrator of Kafka: ${aclCommands(config, byResource).join("; ")}`,
  });
}

function userOf({ kafka: { sasl } }: Config): string {
  return sasl === undefined ? "The user of Kafka" : `The user ${sasl.username} of kafka.sasl`;
}

/** Commands of Kafka's own tool. */
function aclCommands({ kafka: { brokers, sasl } }: Config, byResource: readonly RightOfRoles[][]): string[] {
  return byResource.map((rights) => {
    const [{ resource, name } = rights[0] as RightOfRoles] = rights;
    const operations = rights.map(({ operation }) => `--operation ${operation}`).join(" ");
    const principal = `User:${sasl?.username ?? "NAME"}`;
    const pattern = name.endsWith(ANY) ? `${name.slice(0, -ANY.length)} --resource-pattern-type prefixed` : name;
    return `kafka-acls.sh --bootstrap-server ${brokers.join(",")} --add --allow-principal ${principal} ${operations} --${resource} ${pattern}`;
  });
}
