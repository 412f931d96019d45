import * as z from "zod";
import { HeadraceError } from "../errors/error.ts";
import { identifierComplaint } from "../schemas/collection-names.ts";
import { mappingMistakes } from "../schemas/mapping/collection-schema.ts";
import { parseColumnType } from "../schemas/mapping/column-type.ts";
import type { ColumnType } from "../schemas/mapping/column-type.ts";
import { type CollectionMapping, type ColumnMapping, ID_TYPES } from "../schemas/mapping/mapping.ts";

/** How one collection is replicated. */
export interface CollectionConfig {
  /** Not quoted. It is in the schema `postgres.schema`. */
  readonly table: string;
  readonly mapping: CollectionMapping;
}

/** Runs a check even if another one failed, so that all mistakes are reported at once. */
const EVEN_IF_INVALID = { when: () => true };

const identifier = z.string().superRefine((name, context) => {
  const complaint = identifierComplaint(name);
  if (complaint !== null) context.addIssue(complaint);
});

const collectionName = z.string().superRefine((name, context) => {
  if (name === "" || name.includes("\0") || name.includes("$")) context.addIssue("is not a valid name of a collection");
  if (name.startsWith("system."))
    context.addIssue("is one of MongoDB's internal collections, which cannot be replicated");
});

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
function byName<T extends z.ZodType>(record: T) {
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

function namedEntries<T>(record: Readonly<Record<string, T>>): [name: string, value: T][] {
  return Object.entries(record).map(([name, value]) => [spelledName(name), value]);
}

const collectionShape = z.strictObject({
  table: identifier
    .optional()
    .describe(
      "Table in the schema `postgres.schema`. Headrace creates it, or adds columns that it lacks. Default: the collection's name.",
    ),
  idType: z
    .enum(ID_TYPES)
    .optional()
    .describe(
      "Type of the collection's `_id`s; `mixed` for several types. Default: Headrace looks at the documents once and keeps the type that it found.",
    ),
  columns: byName(z.record(z.string(), column))
    .refine((columns) => Object.keys(columns).length > 0, "is empty; omit it for document mode")
    .optional()
    .describe(
      "The table's columns by name. Fields that are not declared, and values that do not fit their column, go to the column `_extra`. If omitted (document mode), the whole document goes to the column `doc`.",
    ),
});

type CollectionInput = z.output<typeof collectionShape>;

const collection = z
  // `carts:` without a value is null in YAML.
  .preprocess((value) => value ?? {}, collectionShape.superRefine(checkMapping, EVEN_IF_INVALID))
  .describe("How the collection is replicated. `{}` is document mode.");

/** The collections of a config by name. The defaults that depend on the name are filled in. */
export const collectionsSchema = byName(z.record(collectionName, collection))
  .refine((inputs) => Object.keys(inputs).length > 0, "is empty; omit it to replicate every collection of the database")
  .superRefine(checkTables, EVEN_IF_INVALID)
  .transform((inputs): ReadonlyMap<string, CollectionConfig> => {
    return new Map(namedEntries(inputs).map(([name, input]) => [name, collectionConfig(name, input)]));
  })
  .describe(
    "The collections to replicate, by name. If omitted, every collection of the database is replicated in document mode.",
  );

/** How a collection is replicated. Without `input`, everything has its default. */
export function collectionConfig(name: string, input: CollectionInput = {}): CollectionConfig {
  const columns = input.columns === undefined ? [] : namedEntries(input.columns).map(columnMapping);
  return {
    table: input.table ?? name,
    mapping: {
      collection: name,
      mode: input.columns === undefined ? "document" : "columns",
      columns,
      idType: input.idType,
    },
  };
}

function columnMapping([name, input]: [string, z.output<typeof column>]): ColumnMapping {
  if (!("type" in input)) return { name, path: name.split("."), type: input };
  return { name, path: input.path ?? name.split("."), type: input.type };
}

/** Checks the columns together. Columns that were found invalid before are left out. */
function checkMapping(input: CollectionInput, context: z.RefinementCtx): void {
  const columns = Object.entries(input?.columns ?? {}).filter(([, value]) => isParsedColumn(value));
  const { mapping } = collectionConfig("", { columns: Object.fromEntries(columns) });
  for (const message of mappingMistakes(mapping)) context.addIssue({ code: "custom", path: ["columns"], message });
}

function isParsedColumn(input: unknown): boolean {
  if (typeof input !== "object" || input === null) return false;
  const { sql, type, path = [] } = input as { sql?: unknown; type?: unknown; path?: unknown };
  return typeof sql === "string" || (typeof type === "object" && Array.isArray(path));
}

function checkTables(inputs: Record<string, Partial<CollectionInput> | undefined>, context: z.RefinementCtx): void {
  const owners = new Map<string, string>();
  for (const [name, input] of namedEntries(inputs)) {
    const table = typeof input?.table === "string" ? input.table : name;
    const owner = owners.get(table);
    const complaint = owner === undefined ? defaultTableComplaint(name, input?.table) : sharedTable(table, owner);
    if (complaint !== null) context.addIssue({ code: "custom", path: [name], message: complaint });
    owners.set(table, owner ?? name);
  }
}

function sharedTable(table: string, owner: string): string {
  return `has the same table (${table}) as collection ${owner}; set another \`table\` for one of them`;
}

function defaultTableComplaint(name: string, table: unknown): string | null {
  const complaint = table === undefined ? identifierComplaint(name) : null;
  return complaint === null ? null : `its name cannot be the table's name because it ${complaint}; set \`table\``;
}
