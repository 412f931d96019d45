import { isDeepStrictEqual } from "node:util";
import { isCollection, isMap, isNode, isPair, isScalar, parse, parseDocument } from "yaml";
import type { Document, Node, Pair, YAMLMap } from "yaml";
import { linesText } from "../propose/yaml-text.ts";
import type { Line } from "../propose/yaml-text.ts";

/** Text that is put into a file. Nothing else of the file changes. */
export interface Insertion {
  readonly offset: number;
  readonly text: string;
}

/** Pairs that a map of the file does not have yet. */
export interface Addition {
  /** Where the map stands: keys from the top. */
  readonly path: readonly string[];
  readonly lines: readonly Line[];
}

/** The same options as the config has when it is loaded. */
const YAML_OPTIONS = { prettyErrors: false, merge: true } as const;

/** A file that people have edited. */
export class EditedYaml {
  readonly text: string;
  readonly #document: Document;
  readonly #data: unknown;
  readonly #newline: string;

  constructor(text: string) {
    this.text = text;
    this.#document = parseDocument(text, YAML_OPTIONS);
    this.#data = this.#document.toJS();
    this.#newline = text.includes("\r\n") ? "\r\n" : "\n";
  }

  get data(): unknown {
    return this.#data;
  }

  /** Where and how the pairs go into the file; null if that would change anything else, or nothing can go there. */
  add({ path, lines }: Addition): Insertion | null {
    const map = this.#document.getIn(path, true);
    if (!isMap(map) || map.items.length === 0) return null;
    const insertion = map.flow === true ? intoFlow(map, lines) : this.#intoBlock(map, lines);
    if (insertion === null) return null;
    const expected = withAddition(this.#data, path, parse(linesText(lines, "")) as object);
    return isDeepStrictEqual(dataOf(applied(this.text, [insertion])), expected) ? insertion : null;
  }

  /** How a comment goes above a key; null if it has one with `mark` already, or nothing can go there. */
  comment(path: readonly string[], comment: string, mark: string): Insertion | null {
    const map = this.#document.getIn(path.slice(0, -1), true);
    const pair = isMap(map) && map.flow !== true ? map.items.find(({ key }) => keyOf(key) === path.at(-1)) : undefined;
    const key = isNode(pair?.key) ? pair.key : null;
    const start = key?.range?.[0];
    if (start === undefined || pair === undefined) return null;
    const [lineStart, indent] = this.#indentOf(start);
    const end = this.#lineEnd(endOf(pair));
    if (
      indent === null ||
      this.#commentsAbove(lineStart).includes(mark) ||
      this.text.slice(start, end).includes(mark)
    ) {
      return null;
    }
    const insertion = { offset: lineStart, text: `${indent}# ${comment}${this.#newline}` };
    return isDeepStrictEqual(dataOf(applied(this.text, [insertion])), this.#data) ? insertion : null;
  }

  /** The comments that stand on the lines before an offset. */
  #commentsAbove(offset: number): string {
    const [comments = ""] = /(?:\n[ \t]*#[^\n]*)*\n$/.exec(`\n${this.text.slice(0, offset)}`) ?? [];
    return comments;
  }

  #intoBlock(map: YAMLMap, lines: readonly Line[]): Insertion | null {
    const [first] = map.items;
    const last = map.items.at(-1);
    const start = isNode(first?.key) ? first.key.range?.[0] : undefined;
    if (start === undefined || last === undefined) return null;
    const [, indent] = this.#indentOf(start);
    if (indent === null) return null;
    const offset = this.#lineEnd(endOf(last));
    const text = linesText(lines, indent).replaceAll("\n", this.#newline);
    const isAfterNewline = offset === 0 || this.text[offset - 1] === "\n";
    return { offset, text: isAfterNewline ? text : `${this.#newline}${text.trimEnd()}` };
  }

  /** Where the line of an offset begins, and its indentation; null if something else stands before the offset. */
  #indentOf(offset: number): [number, string | null] {
    const lineStart = this.text.lastIndexOf("\n", offset - 1) + 1;
    const before = this.text.slice(lineStart, offset);
    return [lineStart, /^ *$/.test(before) ? before : null];
  }

  /** The beginning of the next line, or the text's end. */
  #lineEnd(offset: number): number {
    if (offset > 0 && this.text[offset - 1] === "\n") return offset;
    const newline = this.text.indexOf("\n", offset);
    return newline === -1 ? this.text.length : newline + 1;
  }
}

/** The text with the insertions. At one offset they stand in the given order. */
export function applied(text: string, insertions: readonly Insertion[]): string {
  let result = "";
  let at = 0;
  for (const { offset, text: added } of insertions.toSorted((a, b) => a.offset - b.offset)) {
    result += text.slice(at, offset) + added;
    at = offset;
  }
  return result + text.slice(at);
}

function intoFlow(map: YAMLMap, lines: readonly Line[]): Insertion | null {
  const last = map.items.at(-1);
  if (last === undefined) return null;
  const data = parse(linesText(lines, "")) as Record<string, unknown>;
  const pairs = Object.entries(data).map(([key, value]) => `${JSON.stringify(key)}: ${flowText(value)}`);
  return { offset: endOf(last), text: `, ${pairs.join(", ")}` };
}

/** Data of a config as YAML between braces. */
function flowText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flowText).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([key, each]) => `${JSON.stringify(key)}: ${flowText(each)}`)
    .join(", ")} }`;
}

/** Where the pair's last value ends, without a comment behind it. */
function endOf({ key, value }: Pair): number {
  if (!isNode(value)) return (isNode(key) ? key.range?.[1] : undefined) ?? 0;
  return endOfNode(value) || ((isNode(key) ? key.range?.[1] : undefined) ?? 0);
}

function endOfNode(node: Node): number {
  if (isCollection(node) && node.flow !== true) {
    const last: unknown = node.items.at(-1);
    if (isPair(last)) return endOf(last);
    if (isNode(last)) return endOfNode(last);
  }
  return node.range?.[1] ?? 0;
}

function keyOf(key: unknown): unknown {
  return isScalar(key) ? String(key.value) : key;
}

function dataOf(text: string): unknown {
  const document = parseDocument(text, YAML_OPTIONS);
  return document.errors.length > 0 ? undefined : document.toJS();
}

/** A copy of the data, with more in the object at a path. */
function withAddition(data: unknown, path: readonly string[], more: object): unknown {
  const [key, ...rest] = path;
  const object = (typeof data === "object" && data !== null ? data : {}) as Record<string, unknown>;
  if (key === undefined) return { ...object, ...more };
  return { ...object, [key]: withAddition(object[key], rest, more) };
}
