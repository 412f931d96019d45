import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const program = new URL("../../src/cli/program.ts", import.meta.url).href;

/** The packages that `headrace <command> --help` loads. */
async function packagesOf(command: string): Promise<readonly string[]> {
  const script = `
    import { registerHooks } from "node:module";
    const found = new Set();
    registerHooks({ load(url, context, next) { found.add(/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]); return next(url, context); } });
    process.on("exit", () => console.error(JSON.stringify([...found])));
    process.argv = ["node", "headrace", ${JSON.stringify(command)}, "--help"];
    await import(${JSON.stringify(program)});`;
  const { stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  return JSON.parse(stderr.trim().split("\n").at(-1) ?? "") as string[];
}

test("`headrace consume` loads neither MongoDB's driver nor the packages for terminals", async () => {
  const packages = await packagesOf("consume");
  expect(packages).toEqual(expect.arrayContaining(["kafkajs", "pg"]));
  expect(packages).not.toContain("mongodb");
  expect(packages).not.toContain("log-update");
  expect(packages).not.toContain("cli-table3");
});
