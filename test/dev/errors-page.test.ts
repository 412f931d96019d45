import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERROR_SECTIONS } from "../../dev/errors-page.ts";

const TABLES = /errors\/codes(?:-\w+)?\.ts$/;

test("every code has one entry", () => {
  const codes = Object.values(ERROR_SECTIONS).flatMap((table) => Object.keys(table));
  expect(new Set(codes).size).toBe(codes.length);
});

test("every documented code is used in the source", () => {
  const source = new URL("../../src/", import.meta.url);
  const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  const text = files
    .filter((file) => !TABLES.test(file))
    .map((file) => readFileSync(new URL(file, source), "utf8"))
    .join("\n");
  const codes = Object.values(ERROR_SECTIONS).flatMap((table) => Object.keys(table));
  expect(codes.filter((code) => !text.includes(`"${code}"`))).toEqual([]);
});
