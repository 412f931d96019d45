/**
 * The columns that a registered value schema holds as longs, or as arrays of longs. Another program's schema may have any
 * shape.
 */
export function longColumns(definition: unknown): ReadonlySet<string> {
  const before = partsOf(definition, "fields").find((field) => partOf(field, "name") === "before");
  const fields = partsOf(before, "type").flatMap((branch) => partsOf(branch, "fields"));
  const columns = fields
    .filter((field) => hasLong(partOf(field, "type")))
    .map((field) => partOf(field, "headrace.column"));
  return new Set(columns.filter((column) => typeof column === "string"));
}

function hasLong(type: unknown): boolean {
  if (Array.isArray(type)) return type.some(hasLong);
  if (typeof type !== "object" || type === null) return type === "long";
  return hasLong(partOf(type, "type")) || hasLong(partOf(type, "items"));
}

function partOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function partsOf(value: unknown, name: string): readonly unknown[] {
  const part = partOf(value, name);
  return Array.isArray(part) ? part : [];
}
