import { createHash } from "node:crypto";
import { RESERVED_WORDS } from "./reserved-words.ts";

/** `snake`: names that need no quotes in SQL. `keep`: the names that the documents have. */
export type NameStyle = "snake" | "keep";

export const NAME_STYLES: readonly NameStyle[] = ["snake", "keep"];

/** PostgreSQL truncates longer names without an error. */
export const MOST_BYTES = 63;

/** Names that Headrace's own columns or PostgreSQL's have, in any table. */
const TAKEN: ReadonlySet<string> = new Set(
  "_id _version _extra _parent _position _changed_at _deleted doc tableoid xmin cmin xmax cmax ctid __proto__".split(
    " ",
  ),
);

/**
 * Gives each path a column name of its own.
 * @param taken names of columns that the table has already
 * @returns the names, in the order of the paths
 */
export function columnNames(
  paths: readonly (readonly string[])[],
  style: NameStyle,
  taken: Iterable<string> = [],
): string[] {
  const wanted = paths.map((path) => ({ path, name: wantedName(path, style) }));
  const names = uniqueNames(
    wanted.map(({ path, name }) => ({ key: JSON.stringify(path), name, isOwn: path.length === 1 && path[0] === name })),
    { taken, most: MOST_BYTES },
  );
  return paths.map((path) => names.get(JSON.stringify(path)) ?? "");
}

/** The name of a column or child for a path, as PostgreSQL and Headrace allow it, before it is made unique. */
export function wantedName(path: readonly string[], style: NameStyle): string {
  const name = styled(path.join("_"), style);
  if (name === "") return "unnamed";
  const isTaken = TAKEN.has(name) || /^_position_\d+$/.test(name);
  return isTaken ? `${name}_` : name;
}

/** The name of a table for a collection, before it is made unique. */
export function tableName(collection: string, style: NameStyle): string {
  const name = styled(collection, style);
  return name === "" ? "unnamed" : name;
}

function styled(name: string, style: NameStyle): string {
  return style === "snake" ? snakeCase(name) : name.toWellFormed().replaceAll("\0", "");
}

/** The name in lower case, with `_` between its words. It needs no quotes in SQL. */
export function snakeCase(name: string): string {
  const snake = name
    .normalize("NFC")
    .replaceAll(/([\p{Ll}\d])(\p{Lu})/gu, "$1_$2")
    .replaceAll(/(\p{Lu})(\p{Lu}\p{Ll})/gu, "$1_$2")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}]+/gu, "_")
    .replaceAll(/^_+|_+$/g, "");
  // Only a letter or _ can be the first.
  const word = snake === "" || /^\p{L}/u.test(snake) ? snake : `_${snake}`;
  return RESERVED_WORDS.has(word) ? `${word}_` : word;
}

/** One who wants a name. */
export interface Claim {
  readonly key: string;
  readonly name: string;
  /** Whether this is its real name. Then others with the same name get another one. */
  readonly isOwn: boolean;
}

/** How names are made unique. */
export interface Limits {
  readonly taken: Iterable<string>;
  /** In bytes. */
  readonly most: number;
}

/** Gives each claim a name that no other one has. The result does not depend on the order of the claims. */
export function uniqueNames(claims: readonly Claim[], { taken, most }: Limits): ReadonlyMap<string, string> {
  const used = new Set(taken);
  const names = new Map<string, string>();
  const sorted = claims.toSorted((a, b) => Number(b.isOwn) - Number(a.isOwn) || (a.key < b.key ? -1 : 1));
  for (const { key, name } of sorted) {
    const given = uniqueName(name, most, (candidate) => used.has(candidate));
    used.add(given);
    names.set(key, given);
  }
  return names;
}

/** The name, shortened if it is too long, and with a number if it is taken. */
export function uniqueName(name: string, most: number, isTaken: (name: string) => boolean): string {
  let candidate = shortened(name, most);
  for (let number = 2; isTaken(candidate); number++) {
    const suffix = `_${number}`;
    candidate = `${shortened(name, most - suffix.length)}${suffix}`;
  }
  return candidate;
}

const HASH_DIGITS = 6;

/** The beginning of a name that is too long, and a hash of all of it: a name gives the same at every time. */
export function shortened(name: string, most: number): string {
  if (Buffer.byteLength(name) <= most) return name;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, HASH_DIGITS);
  return `${beginning(name, most - HASH_DIGITS - 1)}_${hash}`;
}

function beginning(name: string, most: number): string {
  let kept = "";
  let bytes = 0;
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > most) break;
    kept += character;
  }
  return kept;
}
