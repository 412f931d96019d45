import { childTableName } from "../../schemas/mapping/column-names.ts";

/** What a file says of a table: of a collection, or of a child. */
export interface DeclaredTable {
  /** Where it stands in the file: keys from the top. */
  readonly at: readonly string[];
  readonly table: string;
  /** Null in document mode. */
  readonly columns: readonly DeclaredColumn[] | null;
  readonly children: readonly DeclaredChild[];
  /** Paths about which the file says something. Nothing is proposed there. */
  readonly paths: readonly (readonly string[])[];
}

export interface DeclaredColumn {
  readonly name: string;
  readonly path: readonly string[];
}

export interface DeclaredChild extends DeclaredTable {
  readonly name: string;
  readonly path: readonly string[];
}

const ALL_OTHERS = "*";

/** The collections that a file names; null if it names none, so that all are replicated. */
export function declaredCollections(data: unknown): ReadonlyMap<string, DeclaredTable> | null {
  const { collections } = record(data);
  if (collections === undefined || collections === null) return null;
  return new Map(
    Object.entries(record(collections)).map(([name, value]) => {
      const { table } = record(value);
      return [name, declaredTable(value, ["collections", name], typeof table === "string" ? table : name)];
    }),
  );
}

/** Whether the file also replicates collections that it does not name. */
export function hasAllOthers(declared: ReadonlyMap<string, DeclaredTable>): boolean {
  return declared.has(ALL_OTHERS);
}

/** The names of all tables that the file declares. */
export function declaredTables(declared: Iterable<DeclaredTable>): string[] {
  return [...declared].flatMap((each) => [each.table, ...declaredTables(each.children)]);
}

function declaredTable(value: unknown, at: readonly string[], table: string): DeclaredTable {
  const { columns, children, redact } = record(value);
  const declaredColumns = named(columns).map(([name, column]) => ({ name, path: pathOf(column, name) }));
  const declaredChildren = named(children).map(([name, child]): DeclaredChild => {
    const below = declaredTable(child, [...at, "children", name], childTableName(table, name));
    return { ...below, name, path: pathOf(child, name) };
  });
  const redacted = named(redact).map(([path]) => path.split("."));
  return {
    at,
    table,
    columns: columns === undefined || columns === null ? null : declaredColumns,
    children: declaredChildren,
    paths: [...[...declaredColumns, ...declaredChildren].map(({ path }) => path), ...redacted],
  };
}

/** The path that is given, or the one that the name stands for. */
function pathOf(value: unknown, name: string): string[] {
  const { path } = record(value);
  if (Array.isArray(path)) return path.map((part) => unescaped(String(part)));
  return typeof path === "string" ? unescaped(path).split(".") : name.split(".");
}

/** In values, but not in keys, `$${` stands for `${`. */
function unescaped(text: string): string {
  return text.replaceAll("$${", () => "${");
}

function named(value: unknown): [string, unknown][] {
  return Object.entries(record(value));
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
