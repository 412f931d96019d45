import * as z from "zod";
import { HeadraceError } from "../errors/error.ts";
import { childTableName, VALUE_COLUMN } from "../schemas/mapping/column-names.ts";
import { parseColumnType } from "../schemas/mapping/column-type.ts";
import type { ColumnType } from "../schemas/mapping/column-type.ts";
import type { ChildMapping, ColumnMapping } from "../schemas/mapping/mapping.ts";

const columnType = z.string().transform((text, context): ColumnType => {
  try {
    return parseColumnType(text);
  } catch (error) {
    if (!(error instanceof HeadraceError)) throw error;
    context.addIssue(`${error.message} ${error.remedy}`);
    return z.NEVER;
  }
});

const columnPath = z
  .union([
    z
      .string()
      .transform((text) => text.split("."))
      .refine((path) => !path.includes(""), "contains an empty name; write the path as a list of names"),
    z.array(z.string()).min(1),
  ])
  .describe(
    "Path of the field in the document: names with dots between them, or a list of names if a name contains a dot. Default: the column's name.",
  );

const column = z
  .union([
    columnType,
    z.strictObject({
      path: columnPath.optional(),
      type: columnType.describe("PostgreSQL type, as in the short form."),
    }),
  ])
  .describe(
    "PostgreSQL type of the column, such as `text`, `numeric(10,2)`, `timestamptz` or `text[]`. Use `{path, type}` if the field and the column have different names.",
  );

const PROTO = "__proto__";
/** Ends with half of a character, as no name does. */
const MARKED_PROTO = `${PROTO}\uD800`;

/** zod drops the name `__proto__` from a record, so it has another one there. `spelledName` gives the right one again. */
export function byName<T extends z.ZodType>(record: T) {
  return z.preprocess((value) => {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, PROTO)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, each]) => [name === PROTO ? MARKED_PROTO : name, each]),
    );
  }, record);
}

/** A name, or any key in a path of the config, as the file has it. */
export function spelledName<T extends PropertyKey>(name: T): T | typeof PROTO {
  return name === MARKED_PROTO ? PROTO : name;
}

/** A record by the names as the file has them. */
export function namedEntries<T>(record: Readonly<Record<string, T>>): [name: string, value: T][] {
  return Object.entries(record).map(([name, value]) => [spelledName(name), value]);
}

export const columnsShape = byName(z.record(z.string(), column));

type ColumnInput = z.output<typeof column>;

/** A child as the file has it, parsed. */
export interface ChildInput {
  path?: string[] | undefined;
  columns?: Record<string, ColumnInput> | undefined;
  value?: ColumnType | undefined;
  foreignKey?: boolean | undefined;
  children?: Record<string, ChildInput> | undefined;
}

const child: z.ZodType<ChildInput> = z
  .strictObject({
    path: columnPath
      .optional()
      .describe("Path of the array, in the document or in the element around it. Default: the child's name."),
    columns: columnsShape
      .optional()
      .describe(
        "The columns of an element's row, if the elements are documents. What they do not hold goes to the row's `_extra`.",
      ),
    value: columnType
      .optional()
      .describe("If the elements are no documents: the type of the column `value`, which holds the element itself."),
    foreignKey: z
      .boolean()
      .optional()
      .describe("Whether `_parent` references the collection's table, with ON DELETE CASCADE. Default: false."),
    get children() {
      return childrenShape.optional();
    },
  })
  .describe("An array that gets a table of its own.")
  .refine(({ value, columns, children }) => value === undefined || (columns ?? children) === undefined, {
    message: "has `value`, for elements that are no documents, beside `columns` or `children`; keep one of them",
  });

export const childrenShape = byName(z.record(z.string(), child)).describe(
  "Arrays that get tables of their own, by name. The table is `<table>_<name>`, with a row for each element: `_parent` (the document's key), `_position` (from 0; for an array in an element, its own position is `_position_2`), the columns, and `_extra`.",
);

export function columnMapping([name, input]: [string, ColumnInput]): ColumnMapping {
  if (!("type" in input)) return { name, path: name.split("."), type: input };
  return { name, path: input.path ?? name.split("."), type: input.type };
}

export function childMapping([name, input]: [string, ChildInput]): ChildMapping {
  const { path = name.split("."), columns = {}, value, children = {}, foreignKey = false } = input;
  return {
    name,
    path,
    elements: value === undefined ? "documents" : "values",
    columns:
      value === undefined ? namedEntries(columns).map(columnMapping) : [{ name: VALUE_COLUMN, path: [], type: value }],
    children: namedEntries(children).map(childMapping),
    hasForeignKey: foreignKey,
  };
}

/** Whether a column was found valid. */
export function isParsedColumn(input: unknown): boolean {
  if (typeof input !== "object" || input === null) return false;
  const { sql, type, path = [] } = input as { sql?: unknown; type?: unknown; path?: unknown };
  return typeof sql === "string" || (typeof type === "object" && Array.isArray(path));
}

/** The children, without those, and without columns, that were found invalid. */
export function parsedChildren(input: unknown): Record<string, ChildInput> {
  return Object.fromEntries(
    objectEntries(input).flatMap(([name, each]) => {
      if (typeof each !== "object" || each === null) return [];
      const { path, columns, value, children, foreignKey } = each as Record<string, unknown>;
      if (path !== undefined && !Array.isArray(path)) return [];
      const child = {
        path,
        columns: Object.fromEntries(objectEntries(columns).filter(([, column]) => isParsedColumn(column))),
        value: isParsedColumn(value) ? value : undefined,
        children: parsedChildren(children),
        foreignKey,
      };
      return [[name, child as ChildInput]];
    }),
  );
}

function objectEntries(value: unknown): [string, unknown][] {
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}

export interface ChildTable {
  /** The names of the children that lead to it, from the outside. */
  readonly names: readonly string[];
  readonly table: string;
}

/** The tables of a collection's children, at every level. */
export function childTables(
  table: string,
  children: Record<string, ChildInput>,
  names: readonly string[] = [],
): readonly ChildTable[] {
  return namedEntries(children).flatMap(([name, child]) => {
    const own = { names: [...names, name], table: childTableName(table, name) };
    return [own, ...childTables(own.table, child.children ?? {}, own.names)];
  });
}
