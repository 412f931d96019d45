import { keyColumnType } from "../../schemas/keys/document-key.ts";
import { PARENT_COLUMN, positionColumns } from "../../schemas/mapping/column-names.ts";
import type { RowColumn, RowSchema } from "../../schemas/row-schema.ts";
import type { TableName } from "../ports.ts";
import { childTable } from "./sql/child-sql.ts";

/** A table, and what it must have so that records can be written to it. */
export interface TableNeed {
  readonly table: TableName;
  /** The columns of the primary key, then the others. */
  readonly columns: readonly RowColumn[];
  readonly key: readonly string[];
  /** The table of the documents, if the first column of the key must be a foreign key to it. */
  readonly references: TableName | null;
}

/** What the table of the documents needs. */
export function documentNeed(table: TableName, { idType, columns }: RowSchema): TableNeed {
  const id = { name: "_id", sqlType: keyColumnType(idType) };
  return { table, columns: [id, { name: "_version", sqlType: "bigint" }, ...columns], key: ["_id"], references: null };
}

/** What the tables of the children need, in the order of `rowSchema.children`. */
export function childNeeds(parent: TableName, { idType, children }: RowSchema): readonly TableNeed[] {
  return children.map(({ suffix, around, columns, hasForeignKey }) => {
    const positions = positionColumns(around.length + 1);
    return {
      table: childTable(parent, suffix),
      columns: [
        { name: PARENT_COLUMN, sqlType: keyColumnType(idType) },
        ...positions.map((name) => ({ name, sqlType: "integer" })),
        ...columns,
      ],
      key: [PARENT_COLUMN, ...positions],
      references: hasForeignKey ? parent : null,
    };
  });
}
