import { createHash } from "node:crypto";
import { parseColumnType } from "../../../schemas/mapping/column-type.ts";
import type { RowColumn } from "../../../schemas/row-schema.ts";
import type { Query } from "../session.ts";

/** SQL that casts a text to a column's type, without its length or precision (see `buildStatements`). */
export function castValue({ sqlType }: RowColumn, value: string): string {
  const { base, isArray } = parseColumnType(sqlType);
  // In PostgreSQL, "character" without a length is character(1).
  const type = base === "character" ? "bpchar" : base;
  return `${value}::${type}${isArray ? "[]" : ""}`;
}

/** Named by its text, so that a connection prepares equal texts once. */
export function named(text: string): Query {
  return { name: `headrace_${createHash("sha256").update(text).digest("hex").slice(0, 32)}`, text };
}
