import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const page = readFileSync(new URL("../../docs/guarantees.md", import.meta.url), "utf8");
const folders = [
  "cli",
  "config",
  "consumers",
  "contracts",
  "e2e",
  "faults",
  "kafka",
  "operations",
  "producers",
  "runtime",
  "schemas",
  "verify",
];
const named = new Set(
  [...page.matchAll(/`([a-z0-9]+(?:\/[a-z0-9-]+)+)`/g)]
    .map(([, name = ""]) => name)
    .filter((name) => folders.includes(name.split("/")[0] ?? "")),
);

test("the page names tests", () => {
  expect(named.size).toBeGreaterThan(20);
});

test.each([...named])("the named test exists: %s", (name) => {
  const files = [".test.ts", ".servers.test.ts", ".long.test.ts"].map(
    (end) => new URL(`../${name}${end}`, import.meta.url),
  );
  expect(files.filter((file) => existsSync(file))).not.toEqual([]);
});
