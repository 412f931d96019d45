import type * as z from "zod";
import { spelledName } from "./columns-schema.ts";
import type { Mistake } from "./config-mistakes.ts";
import { allowedText, knownKeys, schemaAt } from "./config-reference.ts";

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** The value at a path; undefined if there is none. */
export function valueAt(data: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    data,
  );
}

/**
 * Turns zod's issues into mistakes that name the file's keys and values.
 * @param isSecret whether the value at a path must not be shown
 */
export function explainIssues(issues: readonly Issue[], data: unknown, isSecret: (path: Path) => boolean): Mistake[] {
  return issues.flatMap((issue) => explain(issue, [], { data, isSecret }));
}

interface Context {
  readonly data: unknown;
  readonly isSecret: (path: Path) => boolean;
}

function explain(issue: Issue, base: Path, context: Context): Mistake[] {
  const path = [...base, ...issue.path.map(spelledName)];
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey([...path, key]));
  if (issue.code === "invalid_union") return explainUnion(issue, path, context);
  if (issue.code === "invalid_key") return issue.issues.map(({ message }) => ({ path, message }));
  if (issue.code === "custom" || issue.code === "invalid_format") {
    return [{ path, message: withFound(issue.message, path, context) }];
  }
  return [notAllowed(path, context)];
}

/** The user meant the branch that accepts the type of the value. */
function explainUnion(issue: z.core.$ZodIssueInvalidUnion, path: Path, context: Context): Mistake[] {
  const meant = issue.errors.find(([first]) => first !== undefined && !(isTypeIssue(first) && first.path.length === 0));
  return meant === undefined ? [notAllowed(path, context)] : meant.flatMap((inner) => explain(inner, path, context));
}

function isTypeIssue(issue: Issue): boolean {
  return issue.code === "invalid_type";
}

function notAllowed(path: Path, context: Context): Mistake {
  const node = schemaAt(path);
  const allowed = node === null ? "" : allowedText(node);
  const value = valueAt(context.data, path);
  if (value === undefined) return { path, message: `is missing; expected ${allowed}` };
  const suggestion = typeof value === "string" ? suggestionText(value, node?.enum ?? []) : "";
  return { path, message: `${foundText(path, context)} is not valid; expected ${allowed}${suggestion}` };
}

function unknownKey(path: Path): Mistake {
  const parent = schemaAt(path.slice(0, -1));
  const known = parent === null ? [] : knownKeys(parent);
  const key = String(path.at(-1));
  if (key.includes(":")) return { path, message: "unknown key; is a space missing after the colon?" };
  const suggestion = suggestionText(key, known);
  return { path, message: `unknown key${suggestion === "" ? `; known keys: ${known.join(", ")}` : suggestion}` };
}

function suggestionText(word: string, candidates: readonly string[]): string {
  const suggestion = closest(word, candidates);
  return suggestion === null ? "" : `; did you mean ${suggestion}?`;
}

/** Puts the value in front of a message about a single value, unless the message contains it. */
function withFound(message: string, path: Path, context: Context): string {
  const value = valueAt(context.data, path);
  const isScalar = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  if (!isScalar || message.includes(JSON.stringify(value))) return message;
  return `${foundText(path, context)} ${message}`;
}

/** Describes the value at a path without showing a secret. */
function foundText(path: Path, { data, isSecret }: Context): string {
  const value = valueAt(data, path);
  if (isSecret(path) || mayHoldLogin(data, path)) return "the value";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" && value !== null ? "a mapping" : JSON.stringify(value);
}

/**
 * Whether a text may be, or be cut from, an address or a login: it looks like an address, or it stands where a whole
 * section belongs (`sasl: user:password`).
 */
function mayHoldLogin(data: unknown, path: Path): boolean {
  const isSection = path.length > 0 && isText(valueAt(data, path)) && knownKeys(schemaAt(path) ?? {}).length > 0;
  // A text or a list, and the texts that it was split into. No mapping: that has other settings, too.
  const around = [data, ...path.map((_, index) => valueAt(data, path.slice(0, index + 1)))];
  return isSection || around.some((value) => isText(value) && /@|:\/\//.test(JSON.stringify(value)));
}

function isText(value: unknown): boolean {
  return typeof value === "string" || Array.isArray(value);
}

/** The candidate that is most similar to a mistyped word; null if none is similar enough. */
export function closest(word: string, candidates: readonly string[]): string | null {
  // Two swapped letters count as two edits.
  const limit = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  let best: string | null = null;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance: the fewest insertions, deletions and replacements that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, charA] of a.split("").entries()) {
    const current = [i + 1];
    for (const [j, charB] of b.split("").entries()) {
      const replaced = (previous[j] ?? 0) + (charA === charB ? 0 : 1);
      current.push(Math.min(replaced, (previous[j + 1] ?? 0) + 1, (current[j] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
