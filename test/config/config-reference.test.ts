import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generatedDocs } from "../../dev/generate-docs.ts";
import { settings } from "../../src/config/config-reference.ts";

const inRepository = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");

test("every setting is described", () => {
  const undescribed = [...settings()].filter(({ node }) => !node.description).map(({ path }) => path.join("."));
  expect(undescribed).toEqual([]);
});

test.each([...generatedDocs()])("%s is what `node dev/generate-docs.ts` makes", (file, text) => {
  if (file.endsWith(".json")) expect(JSON.parse(inRepository(file))).toEqual(JSON.parse(text));
  else expect(inRepository(file)).toBe(text);
});
