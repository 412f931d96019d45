import { expect, test } from "vitest";
import { stringify } from "yaml";
import { parseConfig } from "../../src/config/load-config.ts";
import { MINIMAL_CONFIG } from "../support/minimal-config.ts";

test("a config may have collections and columns with the names of an object's own properties", () => {
  const text = `${stringify(MINIMAL_CONFIG)}
collections:
  __proto__: { columns: { proto: { path: [__proto__], type: text }, constructor: int } }
  toString: {}
`;
  const { collections } = parseConfig(text, { file: "headrace.yaml", environment: {} });
  expect([...(collections ?? [])].map(([name, { table, mapping }]) => [name, table, mapping.collection])).toEqual([
    ["__proto__", "__proto__", "__proto__"],
    ["toString", "toString", "toString"],
  ]);
  expect(collections?.get("__proto__")?.mapping.columns.map(({ name, path }) => [name, path])).toEqual([
    ["proto", ["__proto__"]],
    ["constructor", ["constructor"]],
  ]);
  const wrong = (from: string, to: string) => () =>
    parseConfig(text.replace(from, to), { file: "headrace.yaml", environment: {} });
  expect(wrong("{ columns", "{ table: '${toString}', columns")).toThrow("toString is not set");
  expect(wrong("proto: {", "__proto__: {")).toThrow('collections.__proto__.columns: column "__proto__" has a name');
});
