import { decimalOf, decimalParts } from "./decimal.ts";

/** A JSON number as its text, because a double would round it. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Parsed JSON with exact numbers and with names in order. A JavaScript object would move names like "2". */
export type JsonValue = null | boolean | string | JsonNumber | readonly JsonValue[] | ReadonlyMap<string, JsonValue>;

/** JSON text without blanks, with names in order. */
export function stringifyJson(json: JsonValue): string {
  if (json instanceof JsonNumber) return json.text;
  if (isJsonArray(json)) return `[${json.map(stringifyJson).join(",")}]`;
  if (!isJsonObject(json)) return JSON.stringify(json);
  return `{${Array.from(json, ([name, value]) => `${JSON.stringify(name)}:${stringifyJson(value)}`).join(",")}}`;
}

/**
 * Whether two JSON values are equal. The order of names does not count; numbers are compared by their exact value. In
 * Extended JSON's `$numberDouble` several notations occur (`1e+300`, `1.0E300`), so there the double is compared.
 */
export function isSameJson(one: JsonValue | undefined, other: JsonValue | undefined): boolean {
  if (one instanceof JsonNumber) return other instanceof JsonNumber && isSameNumber(one.text, other.text);
  if (isJsonArray(one)) {
    return isJsonArray(other) && one.length === other.length && one.every((item, i) => isSameJson(item, other[i]));
  }
  if (!isJsonObject(one)) return one === other;
  if (!isJsonObject(other) || one.size !== other.size) return false;
  for (const [name, value] of one) {
    const same = name === "$numberDouble" && one.size === 1 ? isSameDouble : isSameJson;
    if (!same(value, other.get(name))) return false;
  }
  return true;
}

function isSameNumber(one: string, other: string): boolean {
  return one === other || decimalOf(one) === decimalOf(other);
}

function isSameDouble(one: JsonValue | undefined, other: JsonValue | undefined): boolean {
  if (one === other) return true;
  if (typeof one !== "string" || typeof other !== "string") return false;
  const areFinite = decimalParts(one) !== undefined && decimalParts(other) !== undefined;
  return areFinite && Object.is(Number(one), Number(other));
}

function isJsonArray(json: JsonValue | undefined): json is readonly JsonValue[] {
  return Array.isArray(json);
}

export function isJsonObject(json: JsonValue | undefined): json is ReadonlyMap<string, JsonValue> {
  return json instanceof Map;
}

/** Parses JSON; undefined if the text is not JSON, or is nested too deeply for the stack. */
export function parseJson(text: string): JsonValue | undefined {
  try {
    return new Parser(text).all();
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const BLANKS = /[ \t\r\n]*/y;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  all(): JsonValue {
    const value = this.#value();
    if (this.#next() !== "") throw this.#unexpected();
    return value;
  }

  #value(): JsonValue {
    switch (this.#next()) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #object(): ReadonlyMap<string, JsonValue> {
    const fields = new Map<string, JsonValue>();
    this.#at++;
    if (this.#took("}")) return fields;
    do {
      if (this.#next() !== '"') throw this.#unexpected();
      const name = this.#string();
      if (!this.#took(":")) throw this.#unexpected();
      fields.set(name, this.#value());
    } while (this.#took(","));
    if (!this.#took("}")) throw this.#unexpected();
    return fields;
  }

  #array(): readonly JsonValue[] {
    const items: JsonValue[] = [];
    this.#at++;
    if (this.#took("]")) return items;
    do items.push(this.#value());
    while (this.#took(","));
    if (!this.#took("]")) throw this.#unexpected();
    return items;
  }

  #string(): string {
    const from = this.#at;
    let end = this.#text.indexOf('"', from + 1);
    let escaped = false;
    // A quote is escaped if an odd number of backslashes precedes it.
    while (end >= 0 && this.#backslashesBefore(end) % 2 === 1) {
      escaped = true;
      end = this.#text.indexOf('"', end + 1);
    }
    if (end < 0) throw this.#unexpected();
    this.#at = end + 1;
    const content = this.#text.slice(from + 1, end);
    return escaped || content.includes("\\") ? (JSON.parse(`"${content}"`) as string) : content;
  }

  #backslashesBefore(index: number): number {
    let count = 0;
    while (this.#text[index - 1 - count] === "\\") count++;
    return count;
  }

  #number(): JsonNumber {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) throw this.#unexpected();
    this.#at = NUMBER.lastIndex;
    return new JsonNumber(match[0]);
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#unexpected();
    this.#at += word.length;
    return value;
  }

  /** The next character that is not blank; "" at the end. */
  #next(): string {
    BLANKS.lastIndex = this.#at;
    BLANKS.test(this.#text);
    this.#at = BLANKS.lastIndex;
    return this.#text[this.#at] ?? "";
  }

  #took(character: string): boolean {
    if (this.#next() !== character) return false;
    this.#at++;
    return true;
  }

  #unexpected(): SyntaxError {
    return new SyntaxError(`Not JSON at character ${this.#at}.`);
  }
}
