import { expect, test } from "vitest";
import { stringify } from "yaml";
import type { Config } from "../../src/config/config-schema.ts";
import { parseConfig } from "../../src/config/load-config.ts";
import { MINIMAL_CONFIG } from "../support/minimal-config.ts";

const parseText = (text: string): Config => parseConfig(text, { file: "headrace.yaml", environment: {} });
const parse = (change: object): Config => parseText(stringify({ ...MINIMAL_CONFIG, ...change }));

test("sections and settings without a value count as left out", () => {
  const text = `${stringify(MINIMAL_CONFIG)}collections:\nsnapshot:\nlog: { level: }\nhttp:\n`;
  const config = parseText(text);
  expect(config).toEqual(parse({}));
  const incomplete = "name:\nmongodb:\nkafka: { brokers: 'a:1' }\npostgres: { url: }";
  for (const missing of ["name", "mongodb", "schemaRegistry", "postgres.url"])
    expect(() => parseText(incomplete)).toThrow(`${missing}: is missing`);
  const untyped = { collections: { a: { columns: { n: null } } } };
  expect(() => parse(untyped)).toThrow("collections.a.columns.n: null is not valid");
  expect(parse({ collections: { a: { table: null, columns: null } } }).collections).toEqual(
    parse({ collections: { a: {} } }).collections,
  );
});

test("more than 100 aliases of an anchor are a mistake, not a ReferenceError", () => {
  const aliases = Array.from({ length: 120 }, (_, n) => `  c${n}: *columns\n`).join("");
  const text = `${stringify(MINIMAL_CONFIG)}collections:\n  c: &columns { columns: { n: int } }\n${aliases}`;
  expect(() => parseText(text)).toThrow(/headrace\.yaml has a mistake:\n.*more than 100/);
});
