import * as z from "zod";
import { identifierComplaint } from "../schemas/collection-names.ts";
import { mappingMistakes, redactionMistakes } from "../schemas/mapping/mapping-mistakes.ts";
import { type CollectionMapping, ID_TYPES } from "../schemas/mapping/mapping.ts";
import { byName, childMapping, childrenShape, childTables, namedEntries } from "./columns-schema.ts";
import { columnMapping, columnsShape, isParsedColumn, parsedChildren } from "./columns-schema.ts";
import { filterSchema } from "./filter.ts";
import { OTHERS, othersMistakes, othersShape } from "./other-collections.ts";
import { hasHashes, parsedRedactions, redactionRules, redactShape, withHashKey } from "./redaction.ts";

/** How one collection is replicated. */
export interface CollectionConfig {
  /** Not quoted. It is in the schema `postgres.schema`. */
  readonly table: string;
  readonly mapping: CollectionMapping;
}

/** The collections that the config names. */
export interface Collections extends ReadonlyMap<string, CollectionConfig> {
  /** The settings of all others; null: they are not replicated. */
  readonly others: CollectionInput | null;
  /** Of the hashes; empty if there are none. A secret. */
  readonly hashKey: string;
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
  filter: filterSchema.optional(),
  ...othersShape,
  columns: columnsShape
    .refine((columns) => Object.keys(columns).length > 0, "is empty; omit it for document mode")
    .optional()
    .describe(
      "The table's columns by name. Fields that are not declared, and values that do not fit their column, go to the column `_extra`. If omitted (document mode), the whole document goes to the column `doc`.",
    ),
  children: childrenShape.optional(),
  redact: redactShape.optional(),
});

type CollectionInput = z.output<typeof collectionShape>;

const collection = z
  // `carts:` without a value is null in YAML.
  .preprocess((value) => value ?? {}, collectionShape.superRefine(checkMapping, EVEN_IF_INVALID))
  .describe(
    'How the collection is replicated. `{}` is document mode. The name `"*"` stands for all collections that are not named, also those that are made later.',
  );

/** The collections of a config by name. The defaults that depend on the name are filled in. */
export const collectionsSchema = byName(z.record(collectionName, collection))
  .refine((inputs) => Object.keys(inputs).length > 0, "is empty; omit it to replicate every collection of the database")
  .superRefine(checkTables, EVEN_IF_INVALID)
  .superRefine(checkOthers, EVEN_IF_INVALID)
  .transform((inputs): Collections => {
    const named = namedEntries(inputs).filter(([name]) => name !== OTHERS);
    const collections = new Map(named.map(([name, input]) => [name, collectionConfig(name, input)]));
    return Object.assign(collections, { others: inputs[OTHERS] ?? null, hashKey: "" });
  })
  .describe(
    'The collections to replicate, by name, and `"*"` for all others. If omitted, every collection of the database is replicated in document mode.',
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
      children: namedEntries(input.children ?? {}).map(childMapping),
      redaction: input.redact === undefined ? undefined : redactionRules(input.redact),
      idType: input.idType,
      filter: input.filter,
    },
  };
}

/** Checks columns and children together. Those that were found invalid before are left out. */
function checkMapping(input: CollectionInput, context: z.RefinementCtx): void {
  const columns = Object.entries(input?.columns ?? {}).filter(([, value]) => isParsedColumn(value));
  const { mapping } = collectionConfig("", {
    columns: input?.columns === undefined ? undefined : Object.fromEntries(columns),
    children: parsedChildren(input?.children),
    redact: parsedRedactions(input?.redact),
  });
  for (const { children, message } of mappingMistakes(mapping)) {
    const path = children.length === 0 ? ["columns"] : children.flatMap((name) => ["children", name]);
    context.addIssue({ code: "custom", path, message });
  }
  for (const message of redactionMistakes(mapping)) context.addIssue({ code: "custom", path: ["redact"], message });
}

/** The collections with the key of their hashes. */
export function keyedCollections(collections: Collections, hashKey: string): Collections {
  const keyed = [...collections].map(([name, { table, mapping }]): [string, CollectionConfig] => [
    name,
    { table, mapping: withHashKey(mapping, hashKey) },
  ]);
  return Object.assign(new Map(keyed), { others: collections.others, hashKey });
}

/** A collection that has hashes; undefined if none has. */
export function hashedCollection(collections: Collections): string | undefined {
  const named = [...collections].find(([, { mapping }]) =>
    mapping.redaction?.redactions.some(({ action }) => action === "hash"),
  );
  return named?.[0] ?? (hasHashes(collections.others?.redact) ? OTHERS : undefined);
}

function checkTables(inputs: Record<string, Partial<CollectionInput> | undefined>, context: z.RefinementCtx): void {
  const owners = new Map<string, string>();
  const claim = (table: string, owner: string, path: string[]): void => {
    const other = owners.get(table);
    if (other !== undefined) context.addIssue({ code: "custom", path, message: sharedTable(table, other) });
    owners.set(table, other ?? owner);
  };
  for (const [name, input] of namedEntries(inputs)) {
    if (name === OTHERS) continue;
    const table = typeof input?.table === "string" ? input.table : name;
    const complaint = owners.has(table) ? null : defaultTableComplaint(name, input?.table);
    if (complaint !== null) context.addIssue({ code: "custom", path: [name], message: complaint });
    claim(table, `collection ${name}`, [name]);
    for (const child of childTables(table, parsedChildren(input?.children))) {
      const path = [name, ...child.names.flatMap((each) => ["children", each])];
      const childComplaint = identifierComplaint(child.table);
      if (childComplaint !== null)
        context.addIssue({ code: "custom", path, message: childTableComplaint(child.table) });
      claim(child.table, `child ${child.names.join(".")} of collection ${name}`, path);
    }
  }
}

function checkOthers(inputs: Record<string, Partial<CollectionInput> | undefined>, context: z.RefinementCtx): void {
  for (const { path, message } of othersMistakes(namedEntries(inputs))) {
    context.addIssue({ code: "custom", path: [...path], message });
  }
}

function sharedTable(table: string, owner: string): string {
  return `has the same table (${table}) as ${owner}; give one of them another name or \`table\``;
}

function childTableComplaint(table: string): string {
  return `its table would be ${JSON.stringify(table)}, which is no name that PostgreSQL can keep (at most 63 bytes); give the child a shorter name, and its \`path\``;
}

function defaultTableComplaint(name: string, table: unknown): string | null {
  const complaint = table === undefined ? identifierComplaint(name) : null;
  return complaint === null ? null : `its name cannot be the table's name because it ${complaint}; set \`table\``;
}
