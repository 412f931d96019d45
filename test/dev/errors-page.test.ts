import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ERROR_SECTIONS } from "../../dev/errors-page.ts";

const TABLES = /(?:errors\/codes(?:-\w+)?|config-mistakes)\.ts$/;

test("no code has two entries", () => {
  const codes = Object.values(ERROR_SECTIONS).flatMap((table) => Object.keys(table));
  expect(new Set(codes).size).toBe(codes.length);
});

test("every documented code is raised somewhere", () => {
  const source = new URL("../../src/", import.meta.url);
  const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  const text = files
    .filter((file) => !TABLES.test(file))
    .map((file) => readFileSync(new URL(file, source), "utf8"))
    .join("\n");
  const codes = Object.values(ERROR_SECTIONS).flatMap((table) => Object.keys(table));
  // ConfigError, which has one code, stands beside its entry; UNKNOWN_ERROR is raised beside the class.
  expect(codes.filter((code) => code !== "CONFIG_INVALID" && !text.includes(`"${code}"`))).toEqual([]);
});
