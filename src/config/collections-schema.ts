import * as z from "zod";
import { HeadraceError } from "../errors/error.ts";
import { mappingMistakes } from "../schemas/mapping/collection-schema.ts";
import { parseColumnType } from "../schemas/mapping/column-type.ts";
import type { ColumnType } from "../schemas/mapping/column-type.ts";
import { type CollectionMapping, type ColumnMapping, ID_TYPES } from "../schemas/mapping/mapping.ts";

/** A collection as it is replicated. */
export interface CollectionConfig {
  /** Unquoted, in the schema `postgres.schema`. */
  readonly table: string;
  readonly mapping: CollectionMapping;
}

/** For checks that run also where others have refused something, so that all mistakes are reported at once. */
const EVEN_IF_REFUSED = { when: () => true };

/** PostgreSQL cuts longer names off without a word. */
const MAX_IDENTIFIER_BYTES = 63;

const identifier = z.string().superRefine((name, context) => {
  const complaint = identifierComplaint(name);
  if (complaint !== null) context.addIssue(complaint);
});

const collectionName = z.string().superRefine((name, context) => {
  if (name === "" || name.includes("\0") || name.includes("$")) context.addIssue("is not a name of a collection");
  if (name.startsWith("system.")) context.addIssue("is one of MongoDB's own collections, which are not replicated");
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
      .refine((path) => !path.includes(""), "has an empty name: give the path as a list of names"),
    z.array(z.string()).min(1),
  ])
  .describe(
    "Where the value stands in the document: names with dots between them, or a list of names (for names with dots in them). Default: the column's name.",
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
    "PostgreSQL type of the column, such as `text`, `numeric(10,2)`, `timestamptz` or `text[]`; or `{path, type}` where the field is not called like the column.",
  );

const collectionShape = z.strictObject({
  table: identifier
    .optional()
    .describe(
      "Table, in the schema `postgres.schema`. Created or extended where that is needed. Default: the collection's name.",
    ),
  idType: z
    .enum(ID_TYPES)
    .optional()
    .describe("Type of the collection's `_id`; `mixed` where several occur. Default: found out once and kept."),
  columns: z
    .record(z.string(), column)
    .refine((columns) => Object.keys(columns).length > 0, "is empty: leave it out for document mode")
    .optional()
    .describe(
      "The table's columns by name. What is not declared here or does not fit goes to the column `_extra`. Left out: document mode, the whole document in the column `doc`.",
    ),
});

type CollectionInput = z.output<typeof collectionShape>;

const collection = z
  // `carts:` with nothing behind it is null in YAML.
  .preprocess((value) => value ?? {}, collectionShape.superRefine(checkMapping, EVEN_IF_REFUSED))
  .describe("How the collection is replicated; nothing (`{}`) is document mode.");

/** The collections of a config by name, with the defaults that depend on their names. */
export const collectionsSchema = z
  .record(collectionName, collection)
  .refine((inputs) => Object.keys(inputs).length > 0, "is empty: leave it out for every collection of the database")
  .superRefine(checkTables, EVEN_IF_REFUSED)
  .transform((inputs): Readonly<Record<string, CollectionConfig>> => {
    return Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, collectionConfig(name, input)]));
  })
  .describe("The collections to replicate, by name. Left out: every collection of the database, in document mode.");

/** How a collection is replicated that the config says nothing more about. */
export function collectionConfig(name: string, input: CollectionInput = {}): CollectionConfig {
  const columns = input.columns === undefined ? [] : Object.entries(input.columns).map(columnMapping);
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

/** What the contract says of the columns; those that were refused already are left out. */
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

function identifierComplaint(name: string): string | null {
  if (name === "") return "is empty";
  if (name.includes("\0")) return "holds a NUL character";
  const bytes = Buffer.byteLength(name);
  return bytes > MAX_IDENTIFIER_BYTES ? `has ${bytes} bytes; PostgreSQL's names have at most 63` : null;
}

function checkTables(inputs: Record<string, Partial<CollectionInput> | undefined>, context: z.RefinementCtx): void {
  const owners = new Map<string, string>();
  for (const [name, input] of Object.entries(inputs)) {
    const table = typeof input?.table === "string" ? input.table : name;
    const owner = owners.get(table);
    const complaint = owner === undefined ? defaultTableComplaint(name, input?.table) : sharedTable(table, owner);
    if (complaint !== null) context.addIssue({ code: "custom", path: [name], message: complaint });
    owners.set(table, owner ?? name);
  }
}

function sharedTable(table: string, owner: string): string {
  return `goes to the table ${table}, as the collection ${owner} does: give one of them another \`table\``;
}

function defaultTableComplaint(name: string, table: unknown): string | null {
  const complaint = table === undefined ? identifierComplaint(name) : null;
  return complaint === null ? null : `its name is no table's name, as it ${complaint}: give a \`table\``;
}
