import { readFile } from "node:fs/promises";
import { isNode, LineCounter, parseDocument } from "yaml";
import type { Document } from "yaml";
import { configInvalid } from "./config-mistakes.ts";
import type { Mistake } from "./config-mistakes.ts";
import { knownKeys, schemaAt } from "./config-reference.ts";
import { configSchema } from "./config-schema.ts";
import type { Config } from "./config-schema.ts";
import { pathKey, substituteEnvironment } from "./environment.ts";
import type { Environment, Substituted } from "./environment.ts";
import { explainIssues, valueAt } from "./explain-issues.ts";

/** Keys whose values may be or contain a secret. */
const SECRET_KEYS: readonly PropertyKey[] = ["uri", "url", "username", "password", "hashKey"];

/**
 * Reads a config file.
 * @throws HeadraceError CONFIG_INVALID with every mistake, or if the file cannot be read
 */
export async function loadConfig(file: string, environment: Environment = process.env): Promise<Config> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = code === "ENOENT" ? "the file does not exist" : `the file cannot be read (${code})`;
    throw configInvalid(file, [{ path: [], message: `${message}; give another one with --config` }], error);
  }
  return parseConfig(text, { file, environment });
}

/**
 * Parses a config from YAML.
 * @param file its name, for messages
 * @throws HeadraceError CONFIG_INVALID with every mistake
 */
export function parseConfig(
  text: string,
  { file, environment }: { readonly file: string; readonly environment: Environment },
): Config {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, merge: true });
  const yamlMistakes = [...document.errors, ...document.warnings].map(({ message, pos: [start] }) => ({
    path: [],
    message: withoutSource(message),
    line: lineCounter.linePos(start).line,
  }));
  if (yamlMistakes.length > 0) throw configInvalid(file, yamlMistakes);

  const substituted = substituteEnvironment(withoutEmptySections(dataOf(document, file)), environment);
  const result = validate(substituted);
  if (result.mistakes.length === 0 && result.config !== undefined) return result.config;
  const withLines = result.mistakes.map((mistake) => ({
    ...mistake,
    line: lineOf(mistake.path, document, lineCounter),
  }));
  throw configInvalid(
    file,
    withLines.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)),
  );
}

/** The parser puts what it stumbled over behind a colon, and that may be a password. */
function withoutSource(message: string): string {
  return message.replace(/: .*$/s, "");
}

function dataOf(document: Document, file: string): unknown {
  try {
    return document.toJS() ?? {};
  } catch (error) {
    // The parser's limit, so that a small file cannot grow to gigabytes.
    if (!(error instanceof ReferenceError)) throw error;
    const message = "the aliases (*NAME) of an anchor (&NAME) stand for it more than 100 times; write some of them out";
    throw configInvalid(file, [{ path: [], message }], error);
  }
}

/** In YAML `snapshot:` without a value is null. A setting without a value counts as left out. */
function withoutEmptySections(data: unknown, path: readonly string[] = []): unknown {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return data;
  const known = knownKeys(schemaAt(path) ?? {});
  const kept = Object.entries(data).filter(([key, value]) => value !== null || !known.includes(key));
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutEmptySections(value, [...path, key])]));
}

function validate(substituted: Substituted): { readonly config?: Config; readonly mistakes: readonly Mistake[] } {
  const data = typedFromEnvironment(substituted);
  const result = configSchema.safeParse(data);
  const unset = new Set(substituted.mistakes.map(({ path }) => pathKey(path)));
  const isUnset = (path: readonly PropertyKey[]): boolean =>
    path.some((_, index) => unset.has(pathKey(path.slice(0, index + 1))));
  const isSecret = (path: readonly PropertyKey[]): boolean =>
    path.some((key) => SECRET_KEYS.includes(key)) || substituted.fromEnvironment.has(pathKey(path));
  const issues = result.success ? [] : explainIssues(result.error.issues, data, isSecret);
  const mistakes = [...substituted.mistakes, ...issues.filter(({ path }) => !isUnset(path))];
  return result.success ? { config: result.data, mistakes } : { mistakes };
}

/** Environment variables are texts: where the config wants a number or a boolean, the text is converted. */
function typedFromEnvironment({ data, fromEnvironment }: Substituted): unknown {
  for (const key of fromEnvironment) {
    const path = JSON.parse(key) as (string | number)[];
    const parent = valueAt(data, path.slice(0, -1)) as Record<string | number, unknown>;
    const last = path.at(-1) ?? "";
    parent[last] = typedText(String(parent[last]), typesAt(path));
  }
  return data;
}

function typesAt(path: readonly PropertyKey[]): readonly (string | undefined)[] {
  const node = schemaAt(path);
  return (node?.anyOf ?? [node]).map((branch) => branch?.type);
}

function typedText(text: string, types: readonly (string | undefined)[]): unknown {
  if (types.includes("integer") && /^-?\d+$/.test(text)) return Number(text);
  if (types.includes("boolean") && (text === "true" || text === "false")) return text === "true";
  return text;
}

/** The line of the value at a path. If the file does not contain it, the line of the nearest value around it. */
function lineOf(path: readonly PropertyKey[], document: Document, lineCounter: LineCounter): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    const start = isNode(node) ? node.range?.[0] : undefined;
    if (start !== undefined) return lineCounter.linePos(start).line;
  }
  return undefined;
}
