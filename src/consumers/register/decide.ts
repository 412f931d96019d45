/*
 * The one decision about a table of the pipeline: does what is stored about it still belong to it? Pure. Everybody asks
 * it who says anything about a table: the consumer at each join and when a table turns out to have changed, `headrace
 * check`, `headrace status` and whoever waits for a table to be complete.
 */
import { HeadraceError } from "../../errors/error.ts";
import { isOther } from "../../schemas/identity.ts";
import { INTERNAL_SCHEMA } from "../postgres/internal-tables.ts";
import { columnsDropped, tableDropped } from "../postgres/table-errors.ts";
import { rulesFound } from "../postgres/table-plan.ts";
import { COPY_OWED } from "./facts.ts";
import type { RegisteredTable, TableFacts, TopicFacts, WantedTable } from "./facts.ts";

export type Decision =
  /** Nothing has changed. */
  | { readonly kind: "same" }
  /** The register does not have the table yet. The topic's records fill it, or have filled it. */
  | { readonly kind: "register" }
  /** The table is the same; PostgreSQL has created, rewritten or restored it since. */
  | { readonly kind: "accept" }
  /** The collection is copied into the table; the copy ends with a sweep. Meanwhile changes are applied. */
  | { readonly kind: "copy"; readonly why: string }
  /** The topic is another one: it is read from its start, and the collection is copied into it. */
  | { readonly kind: "reread"; readonly why: string }
  /** The topic is gone; the producer creates it again and copies the collection. */
  | { readonly kind: "wait"; readonly why: string }
  | { readonly kind: "refuse"; readonly error: HeadraceError };

/** @param onRecordsLost what to do about a topic whose records are lost: `kafka.onHistoryLost` */
export function decide(
  wanted: WantedTable,
  facts: TableFacts,
  topic: TopicFacts,
  onRecordsLost: "fail" | "resnapshot",
): Decision {
  const { registered } = facts;
  const stranger = registered === null ? null : otherOwner(wanted, facts.relation, registered);
  if (stranger !== null) return { kind: "refuse", error: stranger };
  if (facts.rules.length > 0) return { kind: "refuse", error: rulesFound(wanted.table, facts.rules) };
  if (topic.topicId !== undefined && isOther(knownTopicId(facts), topic.topicId))
    return lostTopic(wanted, "recreated", onRecordsLost);
  if (registered === null) return decideUnregistered(wanted, facts, topic, onRecordsLost);
  if (topic.topicId === undefined) {
    // After a take-over the register has the table before its topic exists.
    const isKnown = registered.topicId !== null || facts.hasProgress;
    return isKnown ? lostTopic(wanted, "deleted", onRecordsLost) : { kind: "same" };
  }
  if (registered.isLeft) return { kind: "copy", why: "the table was not kept up to date meanwhile" };
  return decideTable(wanted, facts, registered, topic);
}

/** The id of the topic that was last read: a table that was left may have known an earlier one. */
function knownTopicId({ registered, otherRelations, otherTopicId }: TableFacts): string | null {
  if (registered?.isLeft !== true && registered !== null) return registered.topicId;
  return otherRelations.length > 0 ? otherTopicId : (registered?.topicId ?? null);
}

function decideUnregistered(
  wanted: WantedTable,
  facts: TableFacts,
  topic: TopicFacts,
  onRecordsLost: "fail" | "resnapshot",
): Decision {
  // Version 0.1.0 kept no register: its progress says that it has read the topic.
  if (topic.topicId === undefined) {
    return facts.hasProgress ? lostTopic(wanted, "deleted", onRecordsLost) : { kind: "same" };
  }
  const dropped = droppedTable(wanted, facts);
  if (dropped !== null) return { kind: "refuse", error: dropped };
  if (facts.hasForeignRows) return { kind: "copy", why: "the table has rows that are not of this pipeline" };
  const isNew = facts.otherRelations.length > 0 || (facts.hasProgress && !facts.isFilled);
  return isNew ? { kind: "copy", why: "the config gives the collection another table" } : { kind: "register" };
}

function decideTable(
  wanted: WantedTable,
  facts: TableFacts,
  registered: RegisteredTable,
  { topicId, signalsEnd }: TopicFacts,
): Decision {
  const isRestored = registered.registerOid !== facts.registerOid;
  const dropped = droppedTable(wanted, facts);
  if (dropped !== null) return { kind: "refuse", error: dropped };
  if (facts.oid !== null && isOther(registered.oid, facts.oid) && !isRestored) {
    return { kind: "copy", why: "another table has taken the table's place" };
  }
  const lost = lostColumns(wanted, facts);
  if (lost !== null) return { kind: "refuse", error: lost };
  const hasOtherFile = facts.oid !== null && isOther(registered.fileNode, facts.fileNode);
  if (hasOtherFile && !facts.hasOldRows) {
    return { kind: "copy", why: isRestored ? "the table was restored without its rows" : EMPTIED };
  }
  const lostChildren = facts.lostChildren.filter((child) => wanted.children.includes(child));
  if (lostChildren.length > 0 && !isRestored) {
    return { kind: "copy", why: `the table of a child was dropped, replaced or emptied (${lostChildren.join(", ")})` };
  }
  if (registered.copySignal !== null && registered.copySignal >= signalsEnd) {
    const isTakenOver = registered.copySignal === COPY_OWED;
    return { kind: "copy", why: isTakenOver ? TAKEN_OVER : "Kafka has lost the request to copy the collection" };
  }
  const isKnown =
    registered.oid === facts.oid &&
    registered.fileNode === facts.fileNode &&
    registered.topicId === (topicId ?? null) &&
    !facts.haveChildrenChanged &&
    !isRestored;
  return { kind: isKnown || facts.oid === null ? "same" : "accept" };
}

/** Which of the two, PostgreSQL does not tell. */
const EMPTIED = "the table was truncated or rewritten";
const TAKEN_OVER = "the table was taken over from another pipeline or collection";

/** The error for a table that is gone; null where it is there, is created with its first record, or will be copied anyway. */
export function droppedTable({ table, topic }: WantedTable, facts: TableFacts): HeadraceError | null {
  const { registered, oid, isFilled } = facts;
  const wasThere = isFilled || (registered !== null && registered.oid !== null);
  if (oid !== null || !wasThere || registered?.isLeft === true) return null;
  return tableDropped(table, topic, INTERNAL_SCHEMA);
}

/** The error for a table that has lost columns of the config; null where it has not, or will be copied anyway. */
export function lostColumns({ table, columns }: WantedTable, facts: TableFacts): HeadraceError | null {
  if (facts.registered?.isLeft === true) return null;
  const lost = facts.lostColumns.filter((name) => columns.includes(name));
  return lost.length === 0 ? null : columnsDropped(table, lost, INTERNAL_SCHEMA);
}

/** The error for a table that belongs to another pipeline or source; null where it is the wanted one's. */
export function otherOwner(wanted: WantedTable, relation: string, registered: RegisteredTable): HeadraceError | null {
  if (registered.pipeline !== wanted.pipeline) {
    return new HeadraceError("TABLE_OF_OTHER_PIPELINE", {
      message: `The table ${relation} belongs to the pipeline ${JSON.stringify(registered.pipeline)}, which copies the collection ${nameOf(registered)} into it.`,
      details: { table: relation, pipeline: registered.pipeline },
    });
  }
  const isSame = registered.collection === wanted.collection;
  return otherDatabase(wanted, relation, registered) ?? (isSame ? null : otherSource(wanted, relation, registered));
}

/** The error for a table that holds a collection of another database, whoever owns it; null where it does not. */
export function otherDatabase(
  wanted: WantedTable,
  relation: string,
  registered: RegisteredTable,
): HeadraceError | null {
  const { database, collection } = registered;
  if (database === wanted.database) return null;
  const remedy = `Correct mongodb.database. To replicate the database ${JSON.stringify(wanted.database)}, give it a pipeline name and tables of its own (name, postgres.schema). If nobody needs the old table, drop it with the config that filled it: headrace remove --collection ${collection} --tables`;
  return otherSource(wanted, relation, registered, remedy);
}

function otherSource(
  wanted: WantedTable,
  relation: string,
  registered: RegisteredTable,
  remedy?: string,
): HeadraceError {
  return new HeadraceError("TABLE_OF_OTHER_SOURCE", {
    message: `The table ${relation} holds the collection ${nameOf(registered)}, but the config gives it to ${nameOf(wanted)}.`,
    remedy,
    details: { table: relation },
  });
}

function nameOf({ database, collection }: Pick<WantedTable, "database" | "collection">): string {
  return JSON.stringify(`${database}.${collection}`);
}

function lostTopic(
  { topic, collection }: WantedTable,
  what: "deleted" | "recreated",
  onRecordsLost: "fail" | "resnapshot",
): Decision {
  const isGone = what === "deleted";
  const why = isGone
    ? `Kafka no longer has the topic ${topic}, whose records Headrace has applied`
    : `The topic ${topic} was deleted and created again since Headrace has applied its records`;
  if (onRecordsLost === "resnapshot") return { kind: isGone ? "wait" : "reread", why };
  const message = `${why}.`;
  if (!isGone) return { kind: "refuse", error: new HeadraceError("TOPIC_RECREATED", { message }) };
  const remedy = `Check that kafka.brokers names the right Kafka. If the collection is no longer wanted, take it out of the config and run: headrace remove --collection ${JSON.stringify(collection)}. Otherwise start producer and consumers with kafka.onHistoryLost: resnapshot; then the collection is copied again.`;
  return { kind: "refuse", error: new HeadraceError("TOPIC_DELETED", { message, remedy }) };
}
