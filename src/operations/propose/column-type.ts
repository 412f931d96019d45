import { familyOf } from "./bson-kinds.ts";
import type { Family, Kind } from "./bson-kinds.ts";
import type { FieldSummary } from "./field-summary.ts";

/** At least this share of the values must fit; the others go to `_extra`. */
const LEAST_SHARE = 0.95;

/** What becomes of the values at a path. */
export type Choice =
  | { readonly is: "column"; readonly type: string; readonly misfits: number }
  /** Its fields become columns. */
  | { readonly is: "structure"; readonly misfits: number }
  /** Its arrays become a child table. */
  | { readonly is: "child"; readonly misfits: number }
  /** Nothing is known about its type. */
  | { readonly is: "unknown"; readonly why: string };

/** Chooses the type by the values seen, of which null and empty arrays say nothing. */
export function chooseType(summary: FieldSummary): Choice {
  const families = byFamily(summary.kinds);
  const values = sum(families);
  if (values === 0) return { is: "unknown", why: "always null" };
  if (summary.emptyArrays === values) return { is: "unknown", why: "always null or an empty array" };
  const [family] = dominant(families) ?? [null];
  const misfits = values - (family === null ? 0 : (families.get(family) ?? 0));
  if (family === null || family === "other") return JSONB;
  if (family === "object") return objectChoice(summary, misfits);
  if (family === "array") return arrayChoice(summary, values);
  return { is: "column", type: scalarType(family, summary.kinds), misfits };
}

/** Holds every value. */
const JSONB: Choice = { is: "column", type: "jsonb", misfits: 0 };

function objectChoice({ object }: FieldSummary, misfits: number): Choice {
  const isStructure = object !== null && object.fields.size > 0 && !object.isMap;
  return isStructure ? { is: "structure", misfits } : JSONB;
}

function arrayChoice({ arrays, itemKinds, emptyArrays, items }: FieldSummary, values: number): Choice {
  const families = byFamily(itemKinds);
  const [family] = dominant(families) ?? [null];
  if (family === "object") {
    const isChild = items !== null && items.fields.size > 0 && !items.isMap;
    return isChild ? { is: "child", misfits: sum(families) - (families.get("object") ?? 0) } : JSONB;
  }
  if (family === null || family === "array" || family === "other") return JSONB;
  // An array fits only as a whole.
  const fitting = (arrays.get(family) ?? 0) + emptyArrays;
  if (fitting < values * LEAST_SHARE) return JSONB;
  return { is: "column", type: `${scalarType(family, itemKinds)}[]`, misfits: values - fitting };
}

/** The type that holds all kinds of the family that occur. */
function scalarType(family: Exclude<Family, "object" | "array" | "other">, kinds: ReadonlyMap<Kind, number>): string {
  if (family === "number") return numberType(kinds);
  if (family === "text") return kinds.has("string") || kinds.has("objectId") ? "text" : "uuid";
  return SCALAR_TYPES[family];
}

const SCALAR_TYPES = { boolean: "boolean", date: "timestamptz", bytes: "bytea" } as const;

/** A double cannot hold every int64. */
function numberType(kinds: ReadonlyMap<Kind, number>): string {
  if (kinds.has("decimal") || (kinds.has("long") && kinds.has("double"))) return "numeric";
  return kinds.has("double") ? "double precision" : "bigint";
}

/** Without null, which says nothing. */
function byFamily(kinds: ReadonlyMap<Kind, number>): ReadonlyMap<Family, number> {
  const families = new Map<Family, number>();
  for (const [kind, values] of kinds) {
    if (kind !== "null") families.set(familyOf(kind), (families.get(familyOf(kind)) ?? 0) + values);
  }
  return families;
}

function dominant(families: ReadonlyMap<Family, number>): [Family, number] | undefined {
  return [...families].find(([, values]) => values >= sum(families) * LEAST_SHARE);
}

function sum(counts: ReadonlyMap<unknown, number>): number {
  return [...counts.values()].reduce((total, values) => total + values, 0);
}
