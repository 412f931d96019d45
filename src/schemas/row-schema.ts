import type { Operation } from "./change-event.ts";
import type { IdType } from "./mapping/mapping.ts";

/** A column as the registered value schema describes it. */
export interface RowColumn {
  readonly name: string;
  /** As PostgreSQL's `format_type()` writes it. */
  readonly sqlType: string;
}

/** The table of an array's elements, as the registered value schema describes it. */
export interface RowChild {
  /** Its table has the name of the documents' table, `_`, and this: `items`, `items_taxes`. */
  readonly suffix: string;
  /** The place in `RowSchema.children` of the arrays around it, from the outside; empty for an array of the document. */
  readonly around: readonly number[];
  /** The columns of an element, with `_extra`. */
  readonly columns: readonly RowColumn[];
  readonly hasForeignKey: boolean;
}

/** The elements of one array, or of all arrays of one child in a document. */
export interface ChildRows {
  /** How many there are. */
  readonly rows: number;
  /**
   * The rows without gaps, each in the form of `Change.cells`: the positions of the arrays around it, its own, and a cell
   * for each of the columns.
   */
  readonly cells: Buffer;
  /** The length of each array: of the one in the document, or of those in the elements around, in their order. */
  readonly lengths: readonly number[];
}

/**
 * Describes the rows that result from records of one registered pair of schemas. It comes only from the writer's
 * schemas, so that a sink needs no mapping. `columns` are the fields of `after` in the same order, without `_id`, but
 * with `_extra` or `doc`.
 */
export interface RowSchema {
  readonly idType: IdType;
  readonly columns: readonly RowColumn[];
  /** At every level, each before those in its elements. */
  readonly children: readonly RowChild[];
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
  /** One for each of `rowSchema.children`. Empty if `cells` is null. */
  readonly children: readonly ChildRows[];
}
