import * as z from "zod";
import { filterText } from "../schemas/filter.ts";

type Path = readonly (string | number)[];

interface FilterMistake {
  readonly path: Path;
  readonly message: string;
}

const JAVASCRIPT = "runs JavaScript in MongoDB, which cannot be done in these reads";
const OTHER_INDEX = "needs another index than that of _id, along which Headrace reads";
const NO_VALUE = "gives another result each time";
/** A filter that holds at one time and not at another would change rows whose documents do not change. */
const CHANGES = "changes without a change of the document, so Headrace would not notice";

/** What Headrace cannot read by, wherever the name stands. What else MongoDB does not take, it says itself. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ["$where", JAVASCRIPT],
  ["$function", JAVASCRIPT],
  ["$accumulator", JAVASCRIPT],
  ["$text", OTHER_INDEX],
  ["$near", OTHER_INDEX],
  ["$nearSphere", OTHER_INDEX],
  ["$rand", NO_VALUE],
  ["$sampleRate", NO_VALUE],
]);
const VARIABLE = /^\$\$(NOW|CLUSTER_TIME|USER_ROLES)(\.|$)/;

const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:?\d\d))?$/;

interface Literal {
  readonly expected: string;
  readonly fits: (value: unknown) => boolean;
}

/** Extended JSON that the parser might take for another value: by its key, what belongs there. */
const LITERALS: ReadonlyMap<string, Literal> = new Map([
  ["$oid", { expected: "24 hex digits in quotes", fits: (value) => isText(value, /^[0-9a-f]{24}$/i) }],
  ["$numberInt", { expected: "a whole number of 32 bits in quotes", fits: (value) => isWhole(value, 32n) }],
  ["$numberLong", { expected: "a whole number of 64 bits in quotes", fits: (value) => isWhole(value, 64n) }],
  ["$numberDouble", { expected: "a number, NaN, Infinity or -Infinity in quotes", fits: isDouble }],
  ["$numberDecimal", { expected: "a decimal number in quotes", fits: (value) => isText(value, /\S/) }],
  ["$date", { expected: "a date, or a date and time with its zone (2024-01-01T00:00:00Z), in quotes", fits: isDate }],
  ["$uuid", { expected: "a UUID in quotes", fits: (value) => isText(value, /\S/) }],
  ["$symbol", { expected: "text", fits: (value) => typeof value === "string" }],
  ["$minKey", { expected: "1", fits: (value) => value === 1 }],
  ["$maxKey", { expected: "1", fits: (value) => value === 1 }],
  ["$binary", { expected: "{ base64, subType }", fits: isMapping }],
  ["$timestamp", { expected: "{ t, i }", fits: isMapping }],
  ["$regularExpression", { expected: "{ pattern, options }", fits: isMapping }],
]);

/** The filter of a collection. Gives canonical Extended JSON; undefined for `{}`, which all documents match. */
export const filterSchema = z
  .unknown()
  .transform((value, context): string | undefined => {
    if (!isMapping(value)) {
      context.addIssue({
        code: "custom",
        message: "is not a mapping; write a MongoDB query, such as { status: shipped }",
      });
      return z.NEVER;
    }
    const mistakes = [...mistakesIn(value, [], false)];
    for (const { path, message } of mistakes) context.addIssue({ code: "custom", path: [...path], message });
    if (mistakes.length > 0) return z.NEVER;
    if (Object.keys(value).length === 0) return undefined;
    try {
      return filterText(forParser(value) as object);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      context.addIssue({ code: "custom", message: `is not valid Extended JSON: ${reason}` });
      return z.NEVER;
    }
  })
  .meta({
    type: "object",
    description:
      'Only documents that match this query are replicated: MongoDB\'s query language, as YAML or Extended JSON (`{ at: { $gte: { $date: "2024-01-01" } } }`). MongoDB evaluates it. A document that stops matching is deleted from the table, one that starts is inserted. Not possible: `$where`, `$function`, `$text`, `$near`, `$nearSphere`, and what changes by itself (`$$NOW`, `$rand`).',
  });

/** @param inExpression whether a text may be a variable */
function* mistakesIn(value: unknown, path: Path, inExpression: boolean): Generator<FilterMistake> {
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    yield {
      path,
      message: 'has too many digits for a number in YAML; write { $numberLong: "…" } or { $numberDouble: "…" }',
    };
  }
  if (typeof value === "string" && inExpression && VARIABLE.test(value)) {
    yield { path, message: `is not possible: it ${CHANGES}` };
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* mistakesIn(item, [...path, index], inExpression);
  } else if (isMapping(value)) {
    yield* mistakesInMapping(value, path, inExpression);
  }
}

function* mistakesInMapping(
  mapping: Readonly<Record<string, unknown>>,
  path: Path,
  inExpression: boolean,
): Generator<FilterMistake> {
  const names = Object.keys(mapping);
  if (path.length > 0 && names.length > 1 && names.some((name) => /^\d+$/.test(name)) && !names.some(isOperator)) {
    yield {
      path,
      message: "has a number among its names, and their order would be lost; write one condition for each: a.0",
    };
  }
  for (const [name, value] of Object.entries(mapping)) {
    const at = [...path, name];
    const why = REFUSED.get(name);
    const literal = LITERALS.get(name);
    if (why !== undefined) yield { path: at, message: `is not possible: it ${why}` };
    else if (name === "$undefined") yield { path: at, message: "is not possible; write null" };
    else if (literal === undefined) yield* mistakesIn(value, at, inExpression || name === "$expr");
    else if (names.length > 1) yield { path: at, message: "is a value: nothing else can stand beside it" };
    else if (!literal.fits(value))
      yield { path: at, message: `is not valid Extended JSON; expected ${literal.expected}` };
  }
}

/**
 * The same query in a form that the parser of Extended JSON leaves as it is. It takes `{ $regex, $options }` for a value, as
 * an old form of Extended JSON had it, and would drop the operators beside them. JSON has no NaN.
 */
function forParser(value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) return { $numberDouble: String(value) };
  if (Array.isArray(value)) return value.map(forParser);
  if (!isMapping(value)) return value;
  const { $regex: pattern, $options: options = "", ...others } = value;
  if (typeof pattern !== "string" || typeof options !== "string") return mapValues(value);
  return { $regex: { $regularExpression: { pattern, options } }, ...mapValues(others) };
}

function mapValues(mapping: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(mapping).map(([name, value]) => [name, forParser(value)]));
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isOperator(name: string): boolean {
  return name.startsWith("$");
}

function isText(value: unknown, pattern: RegExp): value is string {
  return typeof value === "string" && pattern.test(value);
}

function isWhole(value: unknown, bits: bigint): boolean {
  const limit = 2n ** (bits - 1n);
  return isText(value, /^-?\d{1,19}$/) && BigInt(value) >= -limit && BigInt(value) < limit;
}

function isDouble(value: unknown): boolean {
  return value === "NaN" || (isText(value, /\S/) && !Number.isNaN(Number(value)));
}

function isDate(value: unknown): boolean {
  if (isMapping(value)) {
    const { $numberLong: ms, ...others } = value;
    return Object.keys(others).length === 0 && isWhole(ms, 64n) && isTime(Number(ms));
  }
  return isText(value, ISO_TIME) && isDay(value.slice(0, 10)) && isTime(Date.parse(value));
}

/** JavaScript takes February 30 for March 1. */
function isDay(text: string): boolean {
  return isTime(Date.parse(text)) && new Date(text).toISOString().startsWith(text);
}

/** Whether JavaScript has a date for it: MongoDB has earlier and later ones. */
function isTime(ms: number): boolean {
  return !Number.isNaN(new Date(ms).getTime());
}
