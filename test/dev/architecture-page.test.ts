import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { expect, test } from "vitest";
import { sourceFiles } from "../../dev/import-rules.ts";

const root = new URL("../../", import.meta.url);
const page = readFileSync(new URL("docs/ARCHITECTURE.md", root), "utf8");

test("every file and folder that the page names exists", () => {
  const named = [...page.matchAll(/`((?:src|dev|test|bench)\/[\w./-]*)`/g)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

test("every room of src/ has a row", () => {
  const rooms = [...page.matchAll(/^\| `([a-z/-]+)\/` +\|/gm)].map(([, room]) => room);
  const folders = new Set(sourceFiles(new URL("src/", root)).map((file) => dirname(file)));
  expect(new Set(rooms)).toEqual(folders);
});

test("every test that the page names exists", () => {
  const lists = [...page.matchAll(/\btests? ((?:`[a-z0-9/-]+`(?:, )?)+)/g)].map(([, list = ""]) => list);
  const named = lists.flatMap((list) => [...list.matchAll(/`([a-z0-9/-]+)`/g)].map(([, name = ""]) => name));
  expect(named.length).toBeGreaterThan(20);
  const ends = [".test.ts", ".servers.test.ts", ".long.test.ts"];
  const missing = named.filter((name) => !ends.some((end) => existsSync(new URL(`test/${name}${end}`, root))));
  expect(missing).toEqual([]);
});

test("every function that the journeys name is in its file", () => {
  const steps = [...page.matchAll(/^\d+\. `(src\/[\w./-]+)`, `(?:\w+\.)?(\w+)`/gm)];
  expect(steps.length).toBeGreaterThan(10);
  const missing = steps.filter(([, file = "", name = ""]) => !readFileSync(new URL(file, root), "utf8").includes(name));
  expect(missing.map(([step]) => step)).toEqual([]);
});
