import type { TableName } from "../ports.ts";

/** In place of a signal's offset, after a take-over: no signal has this one, and the consumer sends one. */
export const COPY_OWED = 2n ** 63n - 1n;

/** A collection of this pipeline and the table that the config gives it. */
export interface WantedTable {
  readonly pipeline: string;
  readonly database: string;
  readonly collection: string;
  readonly topic: string;
  readonly table: TableName;
  /** The columns that the config gives it, besides `_id` and `_version`. */
  readonly columns: readonly string[];
  /** The tables of the children that the config gives it, as `quoteTable` writes them. */
  readonly children: readonly string[];
}

/** What the register (`headrace.tables`) says of a table. */
export interface RegisteredTable {
  readonly pipeline: string;
  readonly database: string;
  readonly collection: string;
  readonly topic: string;
  /** Null: the brokers gave no ids when it was registered. */
  readonly topicId: string | null;
  /** pg_class.oid, which a table of the same name that was put in its place does not have. Null: there was no table yet. */
  readonly oid: string | null;
  /** pg_relation_filenode(), which changes when the table is truncated or rewritten. */
  readonly fileNode: string | null;
  /** The oid of the register itself when it was written: another one if the whole database was restored from a dump. */
  readonly registerOid: string;
  /**
   * Offset in the signals topic of the request to copy the collection into this table. Null: none is needed, because the
   * topic has everything.
   */
  readonly copySignal: bigint | null;
  /** The pipeline writes this collection into another table now. */
  readonly isLeft: boolean;
}

/** What PostgreSQL shows about a table now. */
export interface TableFacts {
  /** As `quoteTable` writes it. */
  readonly relation: string;
  /** Null: the register does not have it. */
  readonly registered: RegisteredTable | null;
  readonly oid: string | null;
  readonly fileNode: string | null;
  readonly registerOid: string;
  /** The rules that leave rows out or make PostgreSQL refuse them. */
  readonly rules: readonly string[];
  /**
   * Whether rows from before are still there. Asked only where `fileNode` has changed (a rewrite keeps them) or the database was
   * restored.
   */
  readonly hasOldRows: boolean;
  /** Columns that records have filled, and that were dropped since, also if there are new ones of their names. */
  readonly lostColumns: readonly string[];
  /** The filled tables of children that were dropped, replaced or emptied since. */
  readonly lostChildren: readonly string[];
  /** Whether any filled table of a child was rewritten since, or lost. */
  readonly haveChildrenChanged: boolean;
  /** Whether the table has rows, though no record of the topic has been applied. Asked only of unregistered tables. */
  readonly hasForeignRows: boolean;
  /** Whether records of the topic have been applied. */
  readonly hasProgress: boolean;
  /** Whether records have been written to this table. */
  readonly isFilled: boolean;
  /** The tables into which the same topic is written now, besides this one. */
  readonly otherRelations: readonly string[];
  /** The topic's id when it was last read into one of them, as in `RegisteredTable`. */
  readonly otherTopicId: string | null;
}

/** What Kafka shows about the topic now. */
export interface TopicFacts {
  /** Undefined: the topic does not exist. Null: the brokers give no ids. */
  readonly topicId: string | null | undefined;
  /** The end of the signals topic. */
  readonly signalsEnd: bigint;
}
