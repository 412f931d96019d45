import { readFileSync } from "node:fs";

interface Package {
  readonly version: string;
  readonly description: string;
}

/** What the package says of itself; the file lies as far from src/cli/ as from dist/cli/. */
export function readPackage(): Package {
  return JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as Package;
}
