import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const inRepository = (path: string): URL => new URL(`../../${path}`, import.meta.url);
const read = (path: string): string => readFileSync(inRepository(path), "utf8");
const packageJson = JSON.parse(read("package.json")) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

const pages = [
  "docs/debugging.md",
  "docs/init.md",
  "docs/reading-the-topics.md",
  "bench/history/README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  ".github/PULL_REQUEST_TEMPLATE.md",
];

test(".nvmrc names the Node.js that npm scripts use", () => {
  expect(read(".nvmrc").trim()).toBe(packageJson.devDependencies["node"]);
});

test.each(pages)("%s names files that exist", (page) => {
  const text = read(page);
  const paths = text.matchAll(/(?<![\w./<-])((?:src|dev|bench|test|docs|\.ci)\/[\w./-]*\w)/g);
  const missing = [...paths].map(([, path = ""]) => path).filter((path) => !existsSync(inRepository(path)));
  expect(missing).toEqual([]);
});

test.each(pages)("%s names npm scripts that exist", (page) => {
  const scripts = read(page).matchAll(/npm run (?:--silent )?([\w:-]+)/g);
  const missing = [...scripts].map(([, script = ""]) => script).filter((script) => !(script in packageJson.scripts));
  expect(missing).toEqual([]);
});
