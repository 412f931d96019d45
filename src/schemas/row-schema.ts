import type { Operation } from "./change-event.ts";
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

/**
 * A column's value as the text that PostgreSQL's input function of its type reads, exactly: numbers in decimal,
 * `NaN`, `Infinity`; `true`, `false`; bytea as `\x…`; times in ISO 8601 and UTC (years
 * beyond 9999 and ` BC` too); arrays as array literals. So every column goes to SQL as `text[]` and is cast there.
 */
export type ColumnValue = string | null;

/** A decoded change event. */
export interface Change {
  readonly op: Operation;
  readonly rowSchema: RowSchema;
  /** Canonical key as the `_id` column holds it, as text (integers in decimal). Empty for t. */
  readonly key: string;
  readonly version: bigint;
  /** One for each of rowSchema.columns; null exactly where op is d or t. */
  readonly values: readonly ColumnValue[] | null;
}
