import type { Operation } from "./change-event.ts";
import type { IdType } from "./mapping/mapping.ts";

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

/** A decoded change event. */
export interface Change {
  readonly op: Operation;
  readonly rowSchema: RowSchema;
  /** Canonical key as the `_id` column holds it, as text (integers in decimal). Empty for t. */
  readonly key: string;
  readonly version: bigint;
  /**
   * A cell for each of rowSchema.columns, one right after the other, as PostgreSQL's binary `text[]` has its elements:
   * the length as a big-endian int32 (-1 for NULL, of which there are no bytes), then the value in UTF-8. Null exactly
   * where op is d or t.
   *
   * The value is the text that the input function of the column's type reads, exactly: numbers in decimal, `NaN`,
   * `Infinity`; `true`, `false`; bytea as `\x…`; times in ISO 8601 and UTC (years beyond 9999 and ` BC` too); arrays
   * as array literals. So every column goes to SQL as `text[]` and is cast there.
   */
  readonly cells: Buffer | null;
}
