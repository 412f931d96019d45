/** With at least this many names, it counts as a map if a document has only a few of them. */
const MANY_NAMES = 16;
const FEW = 0.2;
/** At least this share of the names must look like ids. */
const LEAST_SHARE = 0.8;

const IDS: readonly RegExp[] = [
  /^-?\d+$/,
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
  /^[0-9a-f]{24}$/i,
  /^\d{4}-\d\d(-\d\d([T ].*)?)?$/,
  /^[^@\s]+@[^@\s]+\.[^@\s]+$/,
];

/** Languages that translations nearly always have. Other codes are also usual names of fields: id, to, is, no. */
const COMMON_LANGUAGES: ReadonlySet<string> = new Set(
  "en de fr es zh ja pt ru eng deu fra spa zho jpn por rus ger fre chi".split(" "),
);
const LANGUAGE_TAG = /^([a-z]{2,3})(?:[-_](?:[A-Z][a-z]{3}|[A-Z]{2}|[a-z]{2}|\d{3})){0,2}$/;
const LANGUAGES = new Intl.DisplayNames(["en"], { type: "language", fallback: "none" });

export interface NamesInUse {
  /** The names of the fields, over all sub-documents. */
  readonly names: readonly string[];
  /** How many fields all sub-documents have together. */
  readonly fields: number;
  readonly documents: number;
  /** With more names, sub-documents are maps. */
  readonly most: number;
}

/**
 * Whether sub-documents are maps: their names are data, such as ids or languages. A map gets one jsonb column, because a
 * column for each of its keys would never be complete.
 */
export function isMapLike({ names, fields, documents, most }: NamesInUse): boolean {
  if (names.length > most) return true;
  if (names.length === 0) return false;
  if (names.length >= MANY_NAMES && fields / documents < names.length * FEW) return true;
  const ids = names.filter((name) => IDS.some((pattern) => pattern.test(name)));
  return ids.length >= names.length * LEAST_SHARE || areLanguages(names);
}

function areLanguages(names: readonly string[]): boolean {
  return names.every(isLanguage) && names.some((name) => COMMON_LANGUAGES.has(baseLanguage(name)));
}

function baseLanguage(name: string): string {
  return LANGUAGE_TAG.exec(name)?.[1] ?? "";
}

function isLanguage(name: string): boolean {
  const language = baseLanguage(name);
  return language !== "" && LANGUAGES.of(language) !== undefined;
}
