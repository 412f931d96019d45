import { BSON } from "bson";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { parseConfig } from "../../src/config/load-config.ts";
import { HeadraceError } from "../../src/errors/error.ts";
import { parseFilter } from "../../src/schemas/filter.ts";
import { MINIMAL_CONFIG } from "../support/minimal-config.ts";

/** The filter of a config, as the mapping has it. @param yaml of the filter alone, in one line */
function filterOf(yaml: string, environment: Record<string, string> = {}): string | undefined {
  const text = `${stringify(MINIMAL_CONFIG)}collections:\n  things:\n    filter: ${yaml}\n`;
  const { collections } = parseConfig(text, { file: "headrace.yaml", environment });
  return collections?.get("things")?.mapping.filter;
}

/** What is wrong with a filter, as `path: message`, without the lines. */
function mistakesOf(yaml: string): string[] {
  try {
    filterOf(yaml);
  } catch (error) {
    if (!(error instanceof HeadraceError)) throw error;
    const [, ...lines] = error.message.split("\n");
    return lines.map((line) => line.replace(/^ {2}line \d+, collections\.things\./, ""));
  }
  throw new Error("the filter was accepted");
}

describe("a filter", () => {
  test.each([
    ["YAML", "{ status: { $ne: draft }, n: 5, x: 1.5, on: true, gone: null }"],
    [
      "YAML over several lines",
      "\n      status: { $ne: draft }\n      n: 5\n      x: 1.5\n      on: true\n      gone: null",
    ],
    ["JSON", '{"status":{"$ne":"draft"},"n":5,"x":1.5,"on":true,"gone":null}'],
    [
      "canonical Extended JSON",
      '{"status":{"$ne":"draft"},"n":{"$numberInt":"5"},"x":{"$numberDouble":"1.5"},"on":true,"gone":null}',
    ],
  ])("may be written as %s", (_, yaml) => {
    expect(filterOf(yaml)).toBe(
      '{"status":{"$ne":"draft"},"n":{"$numberInt":"5"},"x":{"$numberDouble":"1.5"},"on":true,"gone":null}',
    );
  });

  test("has every BSON type as Extended JSON writes it", () => {
    const filter = parseFilter(
      filterOf(
        `{ at: { $gte: { $date: "2024-01-01T00:00:00Z" } }, day: { $date: "2024-01-01" }, old: { $date: { $numberLong: "-1" } },
           id: { $oid: "64b7f1c2a1b2c3d4e5f60718" }, price: { $numberDecimal: "0.10" }, big: { $numberLong: "9007199254740993" },
           u: { $uuid: "c8edabc3-f738-4ca3-b68d-ab92a91478a3" }, nan: .nan, inf: -.inf, re: { $regularExpression: { pattern: "^a", options: "i" } } }`,
      ) ?? "",
    );
    expect(filter).toMatchObject({
      at: { $gte: new Date("2024-01-01T00:00:00Z") },
      day: new Date("2024-01-01T00:00:00Z"),
      old: new Date(-1),
      id: new BSON.ObjectId("64b7f1c2a1b2c3d4e5f60718"),
      price: BSON.Decimal128.fromString("0.10"),
      big: BSON.Long.fromString("9007199254740993"),
      nan: new BSON.Double(Number.NaN),
      inf: new BSON.Double(Number.NEGATIVE_INFINITY),
    });
  });

  test("keeps all operators beside $regex, which Extended JSON knew as a value once", () => {
    expect(parseFilter(filterOf('{ name: { $regex: "^a", $options: i, $ne: abc } }') ?? "")).toEqual({
      name: { $regex: new BSON.BSONRegExp("^a", "i"), $ne: "abc" },
    });
  });

  test("{} is none", () => {
    expect(filterOf("{}")).toBeUndefined();
    expect(filterOf("")).toBeUndefined();
  });

  test("may take texts from the environment", () => {
    expect(filterOf('{ tenant: "${TENANT}" }', { TENANT: "a" })).toBe('{"tenant":"a"}');
  });

  test("is the same text after it was parsed, whatever it holds", () => {
    const value = fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
    const condition = fc.oneof(value, fc.record({ $in: fc.array(value) }), fc.record({ $gte: value, $lt: value }));
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z.]{1,8}$/), condition, { minKeys: 1 }), (query) => {
        fc.pre(!hasUnsafeInteger(query));
        const yaml = stringify(query, { collectionStyle: "flow", lineWidth: 0 }).trim();
        // A variable of the environment begins with it.
        const text = filterOf(yaml.replaceAll("${", () => "$${"));
        expect(BSON.EJSON.stringify(parseFilter(text ?? ""), { relaxed: false })).toBe(text);
        expect(BSON.deserialize(BSON.serialize(parseFilter(text ?? "")))).toEqual(
          BSON.deserialize(BSON.serialize(query)),
        );
      }),
    );
  });
});

function hasUnsafeInteger(value: unknown): boolean {
  if (typeof value === "number")
    return Object.is(value, -0) || (Number.isInteger(value) && !Number.isSafeInteger(value));
  return typeof value === "object" && value !== null && Object.values(value).some(hasUnsafeInteger);
}

describe("a filter is refused, with line and path:", () => {
  const javascript = "is not possible: it runs JavaScript in MongoDB";
  const index = "is not possible: it needs another index";
  test.each([
    ["a text", "draft", /^filter: "draft" is not a mapping; write a MongoDB query/],
    ["a list", "[{ a: 1 }]", /^filter: is not a mapping/],
    ["$where", '{ $where: "true" }', `filter.$where: "true" ${javascript}`],
    ["$where inside", '{ $or: [{ a: 1 }, { $where: "true" }] }', `filter.$or[1].$where: "true" ${javascript}`],
    ["$function", "{ $expr: { $function: { body: f, args: [], lang: js } } }", `filter.$expr.$function: ${javascript}`],
    ["$accumulator", "{ $expr: { $accumulator: {} } }", `filter.$expr.$accumulator: ${javascript}`],
    ["$text", "{ $text: { $search: a } }", `filter.$text: ${index}`],
    ["$near", "{ at: { $near: [0, 0] } }", `filter.at.$near: ${index}`],
    ["$nearSphere", "{ at: { $nearSphere: [0, 0] } }", `filter.at.$nearSphere: ${index}`],
    [
      "$sampleRate",
      "{ $sampleRate: 0.5 }",
      /^filter\.\$sampleRate: 0\.5 is not possible: it gives another result each time/,
    ],
    ["$rand", "{ $expr: { $lt: [{ $rand: {} }, 0.5] } }", /^filter\.\$expr\.\$lt\[0\]\.\$rand: is not possible/],
    [
      "the time",
      '{ $expr: { $lt: ["$at", "$$NOW"] } }',
      /^filter\.\$expr\.\$lt\[1\]: "\$\$NOW" is not possible: it changes/,
    ],
    [
      "an id that is none",
      "{ _id: { $oid: abc } }",
      /^filter\._id\.\$oid: "abc" is not valid Extended JSON; expected 24 hex/,
    ],
    ["a number without quotes", "{ n: { $numberLong: 5 } }", /^filter\.n\.\$numberLong: 5 is not valid Extended JSON/],
    ["too large a number", '{ n: { $numberInt: "2147483648" } }', /^filter\.n\.\$numberInt: /],
    [
      "a number with too many digits",
      "{ n: 9007199254740993 }",
      /^filter\.n: .* has too many digits for a number in YAML/,
    ],
    ["a date without its zone", '{ at: { $date: "2024-01-01T00:00:00" } }', /^filter\.at\.\$date: .*with its zone/],
    ["February 30", '{ at: { $date: "2024-02-30" } }', /^filter\.at\.\$date: /],
    [
      "a date that JavaScript has not",
      '{ at: { $date: { $numberLong: "8640000000000001" } } }',
      /^filter\.at\.\$date: /,
    ],
    ["a day that is none", '{ at: { $date: "2024-13-01" } }', /^filter\.at\.\$date: /],
    ["a decimal that is none", "{ n: { $numberDecimal: x } }", /^filter: is not valid Extended JSON: x not a valid/],
    ["a value with more beside it", '{ at: { $date: "2024-01-01", $gte: 1 } }', /^filter\.at\.\$date: .*nothing else/],
    ["a document whose order would be lost", "{ a: { x: 1, 2: 1, 1: 1 } }", /^filter\.a: has a number among its names/],
  ])("%s", (_, yaml, expected) => {
    expect(mistakesOf(yaml)).toEqual([
      typeof expected === "string" ? expect.stringContaining(expected) : expect.stringMatching(expected),
    ]);
  });

  test("all mistakes at once, each at its line", () => {
    const text = `${stringify(MINIMAL_CONFIG)}collections:
  things:
    filter:
      $where: "true"
      at: { $date: yesterday }
    table: ""
`;
    const parse = () => parseConfig(text, { file: "headrace.yaml", environment: {} });
    const from = text.split("\n").indexOf("    filter:") + 1;
    expect(parse).toThrow(
      new RegExp(
        `line ${from + 1}, collections\\.things\\.filter\\.\\$where[^]*line ${from + 2}, [^]*line ${from + 3}`,
      ),
    );
    expect(parse).toThrow(/has 3 mistakes/);
  });

  test("but a text that looks like a variable is a value outside of $expr", () => {
    expect(filterOf('{ name: "$$NOW" }')).toBe('{"name":"$$NOW"}');
  });
});
