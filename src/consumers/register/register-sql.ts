import type { TableName } from "../ports.ts";
import { fileNodeOf, isOtherChild, rulesOf } from "../postgres/catalog.ts";
import type { Query } from "../postgres/session.ts";
import { quoteIdentifier, quoteTable } from "../postgres/sql/upsert-sql.ts";
import { COPY_OWED } from "./facts.ts";
import type { WantedTable } from "./facts.ts";

/** Builds the queries of the register. Pure. */
export class RegisterSql {
  readonly #schema: string;
  /** The register's own name, as a literal's content. */
  readonly #name: string;

  /** @param schema the schema of Headrace's own tables */
  constructor(schema: string) {
    this.#schema = quoteIdentifier(schema);
    this.#name = `${this.#schema}.tables`;
  }

  /** Lets one process at a time decide. Not the lock of DDL: whoever decides may wait for Kafka. */
  lock(): Query {
    return { text: "SELECT pg_advisory_xact_lock(hashtextextended('headrace register', 0))" };
  }

  setTimeout(ms: number): Query {
    return { text: `SET LOCAL statement_timeout = ${ms}` };
  }

  /** One row for each of the tables, in their order: what `TableFacts` needs. */
  look(wanted: readonly WantedTable[]): Query {
    return {
      text: `SELECT known.pipeline, known.database, known.collection, known.topic, known.topic_id,
  known.table_oid::text AS known_oid, known.file_node::text AS known_file_node,
  known.register_oid::text AS known_register_oid, known.copy_signal::text, known.left_at IS NOT NULL AS is_left,
  class.oid::text AS oid, ${fileNodeOf("class.oid")}::text AS file_node, kind.relkind::text AS kind,
  register.oid::text AS register_oid, ${rulesOf("class.oid")} AS rules,
  watermark.version::text AS watermark, watermark.known_xid::text AS known_xid,
  ARRAY(SELECT filled.name FROM ${this.#schema}.columns AS filled
    WHERE filled.relation = wanted.relation AND class.oid IS NOT NULL AND NOT EXISTS (
      SELECT FROM pg_attribute AS found
      WHERE found.attrelid = class.oid AND found.attname = filled.name AND NOT found.attisdropped
        -- Another table, and a restored one, may number its columns otherwise.
        AND (filled.attnum = found.attnum OR filled.attnum IS NULL OR known.table_oid <> class.oid
          OR known.register_oid <> register.oid))) AS lost_columns,
  ARRAY(SELECT json_build_object('relation', child, 'hasSameOid', changed.table_oid = to_regclass(child)::oid)
    FROM ${this.#schema}.children AS changed
    WHERE changed.relation = wanted.relation AND ${isOtherChild("changed")} ORDER BY child) AS changed_children,
  EXISTS (SELECT FROM ${this.#schema}.progress WHERE topic = wanted.topic AND next_offset > 0) AS has_progress,
  EXISTS (SELECT FROM ${this.#schema}.columns WHERE relation = wanted.relation) AS is_filled,
  (SELECT array_agg(relation) FROM ${this.#schema}.tables
    WHERE topic = wanted.topic AND relation <> wanted.relation AND left_at IS NULL) AS other_relations,
  (SELECT max(topic_id) FROM ${this.#schema}.tables
    WHERE topic = wanted.topic AND relation <> wanted.relation AND left_at IS NULL) AS other_topic_id
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (relation, topic, number)
  CROSS JOIN (SELECT to_regclass($3)::oid AS oid) AS register
  LEFT JOIN ${this.#schema}.tables AS known USING (relation)
  LEFT JOIN ${this.#schema}.watermark USING (relation)
  -- Not the row of pg_class, which the statement does not see where the table was replaced since it began.
  CROSS JOIN LATERAL (SELECT to_regclass(wanted.relation)::oid AS oid) AS class
  LEFT JOIN pg_class AS kind ON kind.oid = class.oid
ORDER BY wanted.number`,
      values: [wanted.map(({ table }) => quoteTable(table)), wanted.map(({ topic }) => topic), this.#name],
    };
  }

  /** Stores what the tables of the children are now, and forgets those that are lost. */
  storeChildren(table: TableName, lost: readonly string[]): readonly Query[] {
    return [
      {
        text: `DELETE FROM ${this.#schema}.columns WHERE relation = ANY ($1)`,
        values: [lost],
      },
      {
        text: `DELETE FROM ${this.#schema}.children WHERE relation = $1 AND child = ANY ($2)`,
        values: [quoteTable(table), lost],
      },
      {
        text: `UPDATE ${this.#schema}.children AS known SET table_oid = to_regclass(child)::oid, file_node = ${fileNodeOf("to_regclass(child)")}
WHERE relation = $1 AND ${isOtherChild("known")}`,
        values: [quoteTable(table)],
      },
    ];
  }

  hasRows(table: TableName): Query {
    return { text: `SELECT EXISTS (SELECT FROM ${quoteTable(table)})` };
  }

  hasRowsUpTo(table: TableName, version: string): Query {
    return { text: `SELECT EXISTS (SELECT FROM ${quoteTable(table)} WHERE "_version" <= $1)`, values: [version] };
  }

  /** VACUUM FULL and CLUSTER keep the transactions that wrote the rows. Rows that were loaded again have a newer one. */
  hasRowsBefore(table: TableName, xid: string): Query {
    return {
      text: `SELECT EXISTS (SELECT FROM ${quoteTable(table)} WHERE age(xmin) > age($1::text::xid8::xid))`,
      values: [xid],
    };
  }

  /** Stores what the table is now. */
  store(
    { table, pipeline, database, collection, topic }: WantedTable,
    { topicId, copySignal }: { readonly topicId: string | null; readonly copySignal: bigint | null },
  ): Query {
    return {
      text: `INSERT INTO ${this.#schema}.tables AS known
  (relation, pipeline, database, collection, topic, topic_id, copy_signal, table_oid, file_node, register_oid)
SELECT $1, $2, $3, $4, $5, $6, $7, class.oid, ${fileNodeOf("class.oid")}, to_regclass($8)::oid
FROM (SELECT 1) AS one LEFT JOIN pg_class AS class ON class.oid = to_regclass($1)
ON CONFLICT (relation) DO UPDATE SET topic_id = EXCLUDED.topic_id, copy_signal = EXCLUDED.copy_signal,
  table_oid = EXCLUDED.table_oid, file_node = EXCLUDED.file_node, register_oid = EXCLUDED.register_oid, left_at = NULL`,
      values: [
        quoteTable(table),
        pipeline,
        database,
        collection,
        topic,
        topicId,
        copySignal === null ? null : String(copySignal),
        this.#name,
      ],
    };
  }

  /** Stores the numbers that the table's columns have now. */
  numberColumns(table: TableName): Query {
    return {
      text: `UPDATE ${this.#schema}.columns AS filled SET attnum = found.attnum FROM pg_attribute AS found
WHERE filled.relation = $1 AND found.attrelid = to_regclass($1) AND found.attname = filled.name
  AND NOT found.attisdropped AND filled.attnum IS DISTINCT FROM found.attnum`,
      values: [quoteTable(table)],
    };
  }

  /** For tables into which the pipeline no longer writes: nobody keeps them complete. */
  leave(relations: readonly string[]): readonly Query[] {
    return [
      {
        text: `UPDATE ${this.#schema}.tables SET left_at = now(), copy_signal = NULL WHERE relation = ANY ($1)`,
        values: [relations],
      },
      { text: `DELETE FROM ${this.#schema}.watermark WHERE relation = ANY ($1)`, values: [relations] },
    ];
  }

  /**
   * Gives the table another owner. It waits for a copy that is still to be requested (`COPY_OWED`). Tombstones and floors
   * stay: where the collection is the same, they hold off what the new owner's topic still has from before.
   */
  takeOver({ table, pipeline, database, collection, topic }: WantedTable): readonly Query[] {
    const relation = quoteTable(table);
    return [
      this.forgetWatermark(relation),
      {
        text: `UPDATE ${this.#schema}.tables SET pipeline = $2, database = $3, collection = $4, topic = $5, topic_id = NULL,
  id_type = NULL, left_at = NULL, registered_at = now(), copy_signal = ${COPY_OWED}
WHERE relation = $1`,
        values: [relation, pipeline, database, collection, topic],
      },
    ];
  }

  /** The newest version among the rows and what is stored about them: one row with `version`, null if there is none. */
  newestVersion(table: TableName, isThere: boolean): Query {
    const stored = (["tombstones", "floors", "truncates", "unapplied"] as const).map(
      (name) => `(SELECT max(version) FROM ${this.#schema}.${name} WHERE relation = $1)`,
    );
    const rows = isThere ? [`(SELECT max("_version") FROM ${quoteTable(table)})`] : [];
    return {
      text: `SELECT greatest(${[...stored, ...rows].join(", ")})::text AS version`,
      values: [quoteTable(table)],
    };
  }

  forgetWatermark(relation: string): Query {
    return { text: `DELETE FROM ${this.#schema}.watermark WHERE relation = $1`, values: [relation] };
  }

  forgetColumns(relation: string): Query {
    return { text: `DELETE FROM ${this.#schema}.columns WHERE relation = $1`, values: [relation] };
  }

  /**
   * Makes a topic of the same name be read from its start. New records get offsets that closed dead letters had; those of
   * version 0.1.0 do not tell which incarnation of the topic they are of.
   */
  rereadTopic(topic: string): readonly Query[] {
    return [
      { text: `DELETE FROM ${this.#schema}.progress WHERE topic = $1`, values: [topic] },
      { text: `DELETE FROM ${this.#schema}.dead_letters WHERE topic = $1 AND topic_id = ''`, values: [topic] },
    ];
  }

  /** The topics from which the pipeline fills tables. */
  topicsOf(pipeline: string): Query {
    return {
      text: `SELECT DISTINCT topic FROM ${this.#schema}.tables WHERE pipeline = $1 AND left_at IS NULL`,
      values: [pipeline],
    };
  }
}
