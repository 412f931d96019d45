import type { Operation } from "./change-event.ts";
import type { IdType } from "./mapping/mapping.ts";

/** A column as the registered value schema describes it. */
export interface RowColumn {
  readonly name: string;
  /** As PostgreSQL's `format_type()` writes it. */
  readonly sqlType: string;
}

/**
 * Describes the rows that result from records of one registered pair of schemas. It comes only from the writer's
 * schemas, so that a sink needs no mapping. `columns` are the fields of `after` in the same order, without `_id`, but
 * with `_extra` or `doc`.
 */
export interface RowSchema {
  readonly idType: IdType;
  readonly columns: readonly RowColumn[];
}

/** A decoded change event. */
export interface Change {
  readonly op: Operation;
  readonly rowSchema: RowSchema;
  /** The canonical key as the text of the `_id` column; integers in decimal. Empty if op is t. */
  readonly key: string;
  readonly version: bigint;
  /**
   * One cell for each of `rowSchema.columns`, without gaps, in the form of the elements of PostgreSQL's binary
   * `text[]`: the length as a big-endian int32 (-1 for NULL, which has no further bytes), then the value in UTF-8. Null
   * if and only if op is d or t.
   *
   * The value is a text that the input function of the column's type reads exactly: numbers in decimal, `NaN`,
   * `Infinity`; `true`, `false`; bytea as `\x…`; times in ISO 8601 and UTC (also years after 9999, and ` BC`); arrays
   * as array literals. So every column can be sent to SQL as `text[]` and cast there.
   */
  readonly cells: Buffer | null;
}
