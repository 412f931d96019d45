import type { IdType } from "./collection-schema.ts";

/** A column as the registered value schema describes it. */
export interface RowColumn {
  readonly name: string;
  /** As PostgreSQL's format_type() writes it. */
  readonly sqlType: string;
}

/**
 * The rows that records of one registered pair of schemas make. Comes from the writer's schemas alone,
 * so that a sink needs no mapping of its own. `columns` are those of `after` in its order, without
 * `_id`, with `_extra` or `doc` as columns like the others.
 */
export interface RowSchema {
  readonly idType: IdType;
  readonly columns: readonly RowColumn[];
}

/** What PostgreSQL's driver is given for one column. Arrays and jsonb are text already. */
export type ColumnValue = string | bigint | number | boolean | Buffer | null;

/** A decoded change event. */
export interface Change {
  readonly op: "c" | "u" | "d" | "r" | "t";
  readonly rowSchema: RowSchema;
  /** Canonical key as the `_id` column holds it, as text (integers in decimal). Empty for t. */
  readonly key: string;
  readonly version: bigint;
  /** One for each of rowSchema.columns; null exactly where op is d or t. */
  readonly values: readonly ColumnValue[] | null;
}
