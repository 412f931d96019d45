/** Which collections of the database a pipeline replicates. */
export interface CollectionSelection {
  /** Those that the config names. */
  readonly named: readonly string[];
  /** Of the others, also those that are made later. Null: none. */
  readonly others: OtherCollections | null;
}

export interface OtherCollections {
  /** Null: all. Patterns as `patternSource` takes them. */
  readonly include: readonly string[] | null;
  /** Goes before `include`. */
  readonly exclude: readonly string[];
  /** The tables of named collections, with the collection: no other collection may have one of them. */
  readonly tables: ReadonlyMap<string, string>;
}

/** Every collection of the database. */
export const WHOLE_DATABASE: CollectionSelection = {
  named: [],
  others: { include: null, exclude: [], tables: new Map() },
};

/** Whether a collection is named or one of the others. MongoDB's own collections are not asked for. */
export function isSelected(collection: string, { named, others }: CollectionSelection): boolean {
  return named.includes(collection) || (others !== null && whyNotSelected(collection, others) === null);
}

/** Why a collection that the config does not name is not one of the others; null if it is. */
export function whyNotSelected(collection: string, { include, exclude, tables }: OtherCollections): string | null {
  const excluding = exclude.find((pattern) => matchesPattern(collection, pattern));
  if (excluding !== undefined) return `the config excludes ${JSON.stringify(excluding)}`;
  if (include !== null && !include.some((pattern) => matchesPattern(collection, pattern)))
    return "the config includes only others";
  const owner = tables.get(collection);
  return owner === undefined
    ? null
    : `its table would be that of the collection ${JSON.stringify(owner)}, which the config names`;
}

const compiled = new Map<string, RegExp>();

function matchesPattern(name: string, pattern: string): boolean {
  let regExp = compiled.get(pattern);
  if (regExp === undefined) {
    regExp = new RegExp(patternSource(pattern), "u");
    compiled.set(pattern, regExp);
  }
  return regExp.test(name);
}

/**
 * A pattern as a regular expression, for JavaScript (flag u) and for MongoDB. `*` stands for any characters, also none, and
 * `?` for one. Everything else stands for itself. The pattern must match the whole name.
 */
export function patternSource(pattern: string): string {
  const parts = pattern.split(/([*?])/).map((part) => {
    if (part === "*") return String.raw`[\s\S]*`;
    return part === "?" ? String.raw`[\s\S]` : part.replaceAll(/[\\^$.|+()[\]{}/]/g, String.raw`\$&`);
  });
  // `$` would match before a newline at the end in MongoDB.
  return `^${parts.join("")}(?![\\s\\S])`;
}
