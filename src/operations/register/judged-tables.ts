import type { Kafka } from "kafkajs";
import type { Config } from "../../config/config-schema.ts";
import { replicationOf } from "../../config/replication.ts";
import type { PostgresClient } from "../../consumers/postgres/client.ts";
import { INTERNAL_SCHEMA, planInternalTables } from "../../consumers/postgres/internal-tables.ts";
import { childTable } from "../../consumers/postgres/sql/child-sql.ts";
import { quoteTable } from "../../consumers/postgres/sql/upsert-sql.ts";
import { decideAll, isTopicLost } from "../../consumers/register/admission.ts";
import type { Decided } from "../../consumers/register/admission.ts";
import { droppedTable, lostColumns, otherDatabase, otherOwner } from "../../consumers/register/decide.ts";
import type { Decision } from "../../consumers/register/decide.ts";
import type { TableFacts, WantedTable } from "../../consumers/register/facts.ts";
import { PostgresRegister } from "../../consumers/register/postgres-register.ts";
import type { HeadraceError } from "../../errors/error.ts";
import { fetchConfirmedTopicIds } from "../../kafka/topic-ids.ts";
import type { TopicIds } from "../../kafka/topic-ids.ts";
import { fetchEndOffsets, listTopics } from "../../kafka/topics.ts";
import { childSuffixes, columnNames } from "../../schemas/mapping/column-names.ts";
import { collectionOf, signalsTopic, topicOf } from "../../schemas/topics.ts";
import { replicaOf } from "../tables.ts";
import { judgeOffsets } from "./lost-offsets.ts";

/** A table of the pipeline, and what its consumer would decide about it now. */
export interface JudgedTable {
  readonly wanted: WantedTable;
  readonly relation: string;
  readonly decision: Decision;
  readonly isRegistered: boolean;
  /** See `RegisteredTable`. */
  readonly copySignal: bigint | null;
  /** Whether the decision is about a topic or records that are lost. */
  readonly isLoss: boolean;
}

/** Judges the pipeline's tables as a start of its consumer would. Only reads. @throws HeadraceError */
export async function judgeTables(
  config: Config,
  servers: { readonly kafka: Kafka; readonly postgres: PostgresClient },
): Promise<readonly JudgedTable[]> {
  const { kafka, postgres } = servers;
  const onRecordsLost = config.kafka.onHistoryLost;
  const register = await existingRegister(postgres);
  const topics = await listTopicsOf(config, kafka);
  const wanted = wantedTables(config, [...topics, ...((await register?.topicsOf(config.name)) ?? [])]);
  if (wanted.length === 0) return [];
  const facts = (await register?.look(wanted)) ?? wanted.map(unknownTable);
  const decided = await decideAll(wanted, facts, {
    topicIds: (names, looksLost) => fetchConfirmedTopicIds(kafka, names, looksLost),
    signalsEnd: () => signalsEndOf(config, kafka),
    onRecordsLost,
  });
  const lost = await judgeOffsets(servers, knownTopics(decided), onRecordsLost);
  return decided.map((each) => {
    const {
      decision,
      facts: { relation, registered },
    } = each;
    const ofRecords = decision.kind === "refuse" ? undefined : lost.get(each.wanted.topic);
    return {
      wanted: each.wanted,
      relation,
      decision: ofRecords ?? decision,
      isRegistered: registered !== null,
      copySignal: registered?.copySignal ?? null,
      isLoss: ofRecords !== undefined || isTopicLost(each),
    };
  });
}

/** The topics that the consumer goes on to read where it stands. */
function knownTopics(decided: readonly Decided[]): TopicIds {
  return new Map(
    decided.flatMap((each) => {
      const { wanted, topicId } = each;
      return topicId === undefined || isTopicLost(each) ? [] : [[wanted.topic, topicId] as const];
    }),
  );
}

/** Before a consumer of this version has run here, no register says anything of a table. */
function unknownTable({ table }: WantedTable): TableFacts {
  return {
    relation: quoteTable(table),
    registered: null,
    oid: null,
    fileNode: null,
    registerOid: "",
    hasOldRows: false,
    lostColumns: [],
    rules: [],
    lostChildren: [],
    haveChildrenChanged: false,
    hasForeignRows: false,
    hasProgress: false,
    isFilled: false,
    otherRelations: [],
    otherTopicId: null,
  };
}

/** A table of the config that belongs to another pipeline or source. */
export interface ForeignTable {
  readonly wanted: WantedTable;
  readonly owner: string;
  /** Whether PostgreSQL has it. */
  readonly isThere: boolean;
  /** Why it cannot be taken over: it holds another database. Null where it can. */
  readonly refusal: HeadraceError | null;
}

/** The tables of these collections that belong to another pipeline or source. Needs only PostgreSQL. @throws HeadraceError */
export async function foreignTables(
  config: Config,
  collections: readonly string[],
  postgres: PostgresClient,
): Promise<readonly ForeignTable[]> {
  return (await look(config, collections, postgres)).flatMap(({ wanted, facts: { relation, registered, oid } }) => {
    if (registered === null) return [];
    if (otherOwner(wanted, relation, registered) === null) return [];
    const refusal = otherDatabase(wanted, relation, registered);
    return [{ wanted, owner: registered.pipeline, isThere: oid !== null, refusal }];
  });
}

/** Why a consumer would refuse tables of these collections, as far as PostgreSQL alone tells. @throws HeadraceError */
export async function tableRefusals(
  config: Config,
  collections: readonly string[],
  postgres: PostgresClient,
): Promise<readonly HeadraceError[]> {
  return (await look(config, collections, postgres)).flatMap(({ wanted, facts }) => {
    const { relation, registered } = facts;
    const stranger = registered === null ? null : otherOwner(wanted, relation, registered);
    return stranger ?? droppedTable(wanted, facts) ?? lostColumns(wanted, facts) ?? [];
  });
}

/** @throws HeadraceError the consumer's error, if it would refuse a table of these collections */
export async function requireTables(
  config: Config,
  collections: readonly string[],
  postgres: PostgresClient,
): Promise<void> {
  const [refusal] = await tableRefusals(config, collections, postgres);
  if (refusal !== undefined) throw refusal;
}

async function look(
  config: Config,
  collections: readonly string[],
  postgres: PostgresClient,
): Promise<readonly { readonly wanted: WantedTable; readonly facts: TableFacts }[]> {
  const register = await existingRegister(postgres);
  if (register === null) return [];
  const names = new Set(collections);
  const topics = collections.map((collection) => topicOf(config.name, config.mongodb.database, collection));
  const wanted = wantedTables(config, topics).filter(({ collection }) => names.has(collection));
  return (await register.look(wanted)).map((facts, index) => ({ wanted: wanted[index] as WantedTable, facts }));
}

/** Null if only an older version, or no consumer at all, has run here. */
async function existingRegister(postgres: PostgresClient): Promise<PostgresRegister | null> {
  const { ddl } = await postgres.session((session) => planInternalTables(session, INTERNAL_SCHEMA));
  if (ddl.length > 0) return null;
  return new PostgresRegister(postgres, INTERNAL_SCHEMA, () => Promise.resolve());
}

/** The tables of the config's collections, and of those of the topics that the pipeline replicates. */
export function wantedTables(config: Config, topics: readonly string[]): readonly WantedTable[] {
  const { name: pipeline, mongodb, collections } = config;
  const { database } = mongodb;
  const declared = [...(collections?.keys() ?? [])].map((collection) => topicOf(pipeline, database, collection));
  return [...new Set([...declared, ...topics])].flatMap((topic) => {
    const replica = replicaOf(config, topic);
    const mapping = replica && replicationOf(config, replica.collection)?.mapping;
    if (replica === undefined || mapping === undefined) return [];
    const children = childSuffixes(mapping).map((suffix) => quoteTable(childTable(replica.table, suffix)));
    return [{ pipeline, database, topic, ...replica, columns: columnNames(mapping), children }];
  });
}

/** Why a table is not, or may not be, complete; null if the register says nothing against it. */
export function tableProblem({ decision, copySignal }: JudgedTable): string | null {
  if (decision.kind === "refuse") {
    const { code, message, remedy } = decision.error;
    return `${code}: ${message} ${remedy}`;
  }
  if (decision.kind === "copy" || decision.kind === "reread" || decision.kind === "wait") {
    return `${decision.why}: the consumer will ask for a new copy of the collection`;
  }
  return copySignal === null ? null : "the collection is being copied into it";
}

function listTopicsOf({ name, mongodb }: Config, kafka: Kafka): Promise<readonly string[]> {
  return listTopics(kafka, (topic) => collectionOf(name, mongodb.database, topic) !== undefined);
}

async function signalsEndOf({ name }: Config, kafka: Kafka): Promise<bigint> {
  const topics = await listTopics(kafka, (topic) => topic === signalsTopic(name));
  const [end] = await fetchEndOffsets(kafka, topics);
  return end?.offset ?? 0n;
}
