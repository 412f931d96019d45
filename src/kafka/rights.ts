import type { Kafka } from "kafkajs";
import { retry } from "../runtime/retry.ts";
import { kafkaError } from "./errors.ts";
import { FAILOVER_PATIENCE } from "./topics.ts";
import { UNKNOWN_OPERATIONS, groupRightsExchange, topicRightsExchange } from "./wire/admin-requests.ts";
import type { ResourceAnswer } from "./wire/admin-requests.ts";
import { kafkajsCluster } from "./wire/kafkajs-internals.ts";
import type { KafkajsCluster } from "./wire/kafkajs-internals.ts";

/** A right as Kafka's ACLs name it. */
export interface KafkaRight {
  readonly resource: "topic" | "group" | "transactional-id";
  readonly name: string;
  readonly operation: KafkaOperation;
}

export type KafkaOperation = keyof typeof OPERATION_CODES;

/** The codes of the protocol. */
const OPERATION_CODES = { Read: 3, Write: 4, Delete: 6, Describe: 8, DescribeConfigs: 10, AlterConfigs: 11 } as const;

/**
 * Finds out which of the rights this user lacks, without changing anything: brokers tell what a client may do with topics
 * and groups, and for a transactional id it ends a transaction that does not exist. Says nothing about topics that do not
 * exist yet, and lacks nothing where the brokers have no authorizer.
 * @throws HeadraceError
 */
export function missingRights(kafka: Kafka, wanted: readonly KafkaRight[]): Promise<readonly KafkaRight[]> {
  return retry(() => askForRights(kafka, wanted), FAILOVER_PATIENCE);
}

async function askForRights(kafka: Kafka, wanted: readonly KafkaRight[]): Promise<readonly KafkaRight[]> {
  const cluster = kafkajsCluster<never>(kafka);
  try {
    await cluster.connect();
    await cluster.refreshMetadata();
    const answers = new Map<string, ResourceAnswer>();
    const topics = namesOf(wanted, "topic");
    if (topics.length > 0) {
      const broker = await cluster.brokerPool.findConnectedBroker();
      const found = await broker.connectionPool.send(topicRightsExchange(topics));
      for (const [topic, answer] of found) answers.set(keyOf({ resource: "topic", name: topic }), answer);
    }
    for (const name of namesOf(wanted, "group"))
      answers.set(keyOf({ resource: "group", name }), await askGroup(cluster, name));
    for (const name of namesOf(wanted, "transactional-id"))
      answers.set(keyOf({ resource: "transactional-id", name }), await askTransactionalId(cluster, name));
    return wanted.filter((right) => isMissing(right, answers.get(keyOf(right))));
  } catch (error) {
    throw kafkaError(error, "asking for this user's rights");
  } finally {
    await cluster.disconnect();
  }
}

function namesOf(rights: readonly KafkaRight[], resource: KafkaRight["resource"]): string[] {
  return [...new Set(rights.filter((right) => right.resource === resource).map(({ name }) => name))];
}

function keyOf({ resource, name }: Pick<KafkaRight, "resource" | "name">): string {
  return `${resource} ${name}`;
}

/** The codes of the protocol's errors for missing rights: on topics, groups and transactional ids. */
const FORBIDDEN_CODES: ReadonlySet<number> = new Set([29, 30, 53]);
const FORBIDDEN: ResourceAnswer = { errorCode: 30, operations: 0 };
const ALLOWED: ResourceAnswer = { errorCode: 0, operations: UNKNOWN_OPERATIONS };

function isMissing({ operation }: KafkaRight, answer: ResourceAnswer | undefined): boolean {
  if (answer === undefined) return false;
  if (FORBIDDEN_CODES.has(answer.errorCode)) return true;
  if (answer.errorCode !== 0 || answer.operations === UNKNOWN_OPERATIONS) return false;
  return (answer.operations & (1 << OPERATION_CODES[operation])) === 0;
}

async function askGroup(cluster: KafkajsCluster<never>, groupId: string): Promise<ResourceAnswer> {
  return await unlessForbidden(async () => {
    const coordinator = await cluster.findGroupCoordinator({ groupId, coordinatorType: 0 });
    return await coordinator.connectionPool.send(groupRightsExchange(groupId));
  });
}

/** Without the right, the coordinator refuses the request before it looks for the transaction. */
async function askTransactionalId(cluster: KafkajsCluster<never>, transactionalId: string): Promise<ResourceAnswer> {
  return await unlessForbidden(async () => {
    const coordinator = await cluster.findGroupCoordinator({ groupId: transactionalId, coordinatorType: 1 });
    try {
      await coordinator.endTxn({ transactionalId, ...NO_PRODUCER, transactionResult: false });
    } catch (error) {
      if (!NO_TRANSACTION.has(typeOf(error))) throw error;
    }
    return ALLOWED;
  });
}

const NO_PRODUCER = { producerId: 0x7fff_ffff_ffff, producerEpoch: 0 };

/** How a coordinator refuses to end a transaction of a producer that does not exist. */
const NO_TRANSACTION: ReadonlySet<unknown> = new Set(["INVALID_PRODUCER_ID_MAPPING", "INVALID_PRODUCER_EPOCH"]);

async function unlessForbidden(ask: () => Promise<ResourceAnswer>): Promise<ResourceAnswer> {
  try {
    return await ask();
  } catch (error) {
    if (!/^(GROUP|TRANSACTIONAL_ID)_AUTHORIZATION_FAILED$/.test(String(typeOf(error)))) throw error;
    return FORBIDDEN;
  }
}

function typeOf(error: unknown): unknown {
  return (error as { type?: unknown } | null)?.type;
}
