import { readFileSync } from "node:fs";

interface Package {
  readonly version: string;
  readonly description: string;
  readonly engines: { readonly node: string };
}

/** Reads package.json. The relative path is the same from src/cli/ and from dist/cli/. */
export function readPackage(): Package {
  return JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as Package;
}
