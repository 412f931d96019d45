import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { headrace } from "../../dev/headrace-process.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headrace-start-"));
});

afterAll(() => rm(folder, { recursive: true }));

const run = (...args: string[]) => headrace(args, process.env);

test.each([
  [["-c", "FILE", "check"]],
  [["--config=FILE", "check"]],
  [["dlq", "-c", "FILE", "list"]],
  [["-c", "FILE", "dlq", "list"]],
  [["-c", "other.yaml", "check", "-c", "FILE"]],
])("the config file may stand before the command: %j", async (args) => {
  const file = join(folder, "before.yaml");
  await writeFile(file, "nam: shop\n");
  const { exitCode, stderr } = await run(...args.map((arg) => arg.replace("FILE", file)));
  expect(stderr).toContain(`${file} has `);
  expect(exitCode).toBe(2);
});

test("a Node.js that is too old is named in one sentence", async () => {
  const preload = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.11.1" } })';
  const cli = new URL("../../src/cli/main.ts", import.meta.url).pathname;
  const args = ["--import", `data:text/javascript,${encodeURIComponent(preload)}`, cli, "check"];
  const failed: unknown = await promisify(execFile)(process.execPath, args).catch((error: unknown) => error);
  expect(failed).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/^error: Headrace needs Node\.js 22\.\d+\.\d+ or later, and this is 20\.11\.1\.\n$/),
  });
});

test("init names a file that cannot be written, and an address in a wrong form", async () => {
  const out = join(folder, "no", "such", "x.yaml");
  const env = ["--mongodb-uri", "mongodb://127.0.0.1:1", "-d", "shop"];
  expect(await run("init", ...env, "-o", out)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(`${out} cannot be written: its folder does not exist.`),
  });
  const wrong = await run("init", "--mongodb-uri", "mongodb://user:hun/ter2@127.0.0.1/", "-d", "shop");
  expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("percent-encoded") });
  expect(wrong.stderr).not.toMatch(/hun|ter2/);
});
