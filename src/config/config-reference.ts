import * as z from "zod";
import { configSchema } from "./config-schema.ts";

/** The parts of JSON Schema that Headrace uses. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | false;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly required?: readonly string[];
  /** Of a part that contains itself: its place in `$defs`. */
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

/** The config's schema as JSON Schema, for the file: before defaults are filled in and variables replaced. */
export const configJsonSchema = z.toJSONSchema(configSchema, { io: "input", unrepresentable: "any" }) as SchemaNode;

function resolved(node: SchemaNode): SchemaNode {
  const name = node.$ref?.split("/").at(-1);
  const definition = name === undefined ? undefined : configJsonSchema.$defs?.[name];
  return definition === undefined ? node : { ...definition, ...node };
}

/** The schema of the value at a path; null if the path is not allowed. */
export function schemaAt(path: readonly PropertyKey[], given: SchemaNode = configJsonSchema): SchemaNode | null {
  const [key, ...rest] = path;
  const node = resolved(given);
  if (key === undefined) return node;
  for (const branch of node.anyOf ?? [node]) {
    const child =
      typeof key === "number"
        ? branch.items
        : (branch.properties?.[String(key)] ?? (branch.additionalProperties || null));
    if (child) return schemaAt(rest, child);
  }
  return null;
}

/** The allowed values in words: `a whole number from 1 to 10000`. */
export function allowedText(node: SchemaNode): string {
  if (node.anyOf !== undefined) return node.anyOf.map(allowedText).join(" or ");
  if (node.enum !== undefined) return `one of ${node.enum.join(", ")}`;
  if (node.type === "integer") return `a whole number${rangeText(node)}`;
  if (node.type === "number") return `a number${rangeText(node)}`;
  return TYPE_TEXTS[node.type ?? "string"] ?? "text";
}

const TYPE_TEXTS: Readonly<Record<string, string>> = {
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  string: "text",
};

function rangeText({ minimum, maximum = Number.MAX_SAFE_INTEGER }: SchemaNode): string {
  if (minimum === undefined) return "";
  return maximum === Number.MAX_SAFE_INTEGER ? ` of ${minimum} or more` : ` from ${minimum} to ${maximum}`;
}

/** The keys that are allowed in a mapping; empty if all are. */
export function knownKeys(node: SchemaNode): readonly string[] {
  return (node.anyOf ?? [node]).flatMap((branch) => Object.keys(branch.properties ?? {}));
}

export interface Setting {
  readonly path: readonly string[];
  readonly node: SchemaNode;
  readonly required: boolean;
}

const PLACEHOLDERS: Readonly<Record<string, string>> = { columns: "<column>", children: "<child>", redact: "<path>" };

/**
 * Every setting of the config, in the schema's order, with `<collection>`, `<column>` and `<child>` in place of the user's
 * names. Children in children are left out: they have the same settings.
 */
export function* settings(given: SchemaNode = configJsonSchema, path: readonly string[] = []): Generator<Setting> {
  const node = resolved(given);
  for (const branch of node.anyOf ?? [node]) {
    for (const [key, child] of Object.entries(branch.properties ?? {})) {
      yield { path: [...path, key], node: resolved(child), required: branch.required?.includes(key) ?? false };
      if (!(key === "children" && path.includes("children"))) yield* settings(child, [...path, key]);
    }
    if (branch.additionalProperties) {
      const placeholder = PLACEHOLDERS[path.at(-1) ?? ""] ?? "<collection>";
      yield { path: [...path, placeholder], node: resolved(branch.additionalProperties), required: false };
      yield* settings(branch.additionalProperties, [...path, placeholder]);
    }
  }
}
