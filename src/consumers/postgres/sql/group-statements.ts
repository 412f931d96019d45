import type { Change, RowSchema } from "../../../schemas/row-schema.ts";
import type { RowGroup, Upsert } from "../../batches/fold-batch.ts";
import type { Query } from "../session.ts";
import { childDeletes, childWrites } from "./child-sql.ts";
import type { ChildStatements } from "./child-sql.ts";
import { columnArrays } from "./text-arrays.ts";
import { keysAndVersions } from "./upsert-sql.ts";
import type { TableStatements } from "./upsert-sql.ts";

/** The statements that write documents of one RowSchema into their table and into those of their children. */
export interface DocumentStatements extends TableStatements {
  /** For each of `rowSchema.children`, and then for each child that only other RowSchemas have. */
  readonly children: readonly ChildStatements[];
}

/**
 * The queries that apply a group. The documents' come first: those of the children look at what they have written.
 * @param hasTombstones whether the table has any, read under the partition's lock
 */
export function groupStatements(
  statements: DocumentStatements,
  group: RowGroup,
  hasTombstones: boolean,
): readonly Query[] {
  const { upserts, deletes, rowSchema } = group;
  return [
    ...(upserts.length > 0 ? [upsertStatement(statements, rowSchema, upserts, hasTombstones)] : []),
    ...(deletes.length > 0 ? [deleteStatement(statements, deletes)] : []),
    ...statements.children.flatMap((child) => [
      ...(upserts.length > 0 ? childWrites(child, upserts) : []),
      ...(deletes.length > 0 ? [childDeletes(child, deletes)] : []),
    ]),
  ];
}

/** The same without rows: they succeed if only the rows were what PostgreSQL refused. */
export function withoutRows({
  relation,
  upsert,
  upsertArrays,
  delete: deletion,
  children,
}: DocumentStatements): readonly Query[] {
  const none = (count: number): readonly string[] => Array.from({ length: count }, () => "{}");
  return [
    { ...upsert, values: [...none(upsertArrays), relation] },
    { ...deletion, values: [relation, ...none(2)] },
    ...children.flatMap(({ put, putArrays, cuts, delete: childDeletion }) => [
      ...(put === null ? [] : [{ ...put, values: none(putArrays) }]),
      ...cuts.map((cut, index) => ({ ...cut, values: none(3 + index) })),
      { ...childDeletion, values: none(1) },
    ]),
  ];
}

function upsertStatement(
  sql: TableStatements,
  rowSchema: RowSchema,
  upserts: readonly Upsert[],
  hasTombstones: boolean,
): Query {
  const rows = upserts.map(({ cells }) => cells);
  const values = [...keysAndVersions(upserts), ...columnArrays(rows, rowSchema.columns.length)];
  return hasTombstones ? { ...sql.upsert, values: [...values, sql.relation] } : { ...sql.uncheckedUpsert, values };
}

function deleteStatement(sql: TableStatements, deletes: readonly Change[]): Query {
  return { ...sql.delete, values: [sql.relation, ...keysAndVersions(deletes)] };
}
