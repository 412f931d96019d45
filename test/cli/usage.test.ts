import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { headrace } from "../../dev/headrace-process.ts";

const COMMANDS = ["init", "check", "run", "produce", "consume", "status", "verify", "dlq"];

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headrace-usage-"));
});

afterAll(() => rm(folder, { recursive: true }));

const run = (...args: string[]) => headrace(args, process.env);

describe.concurrent("headrace", () => {
  test("--help shows the commands and the exit codes; --version shows the version", async () => {
    const help = await run("--help");
    expect(help.exitCode).toBe(0);
    for (const command of COMMANDS) expect(help.stdout).toContain(`  ${command} `);
    expect(help.stdout).toMatch(/Exit codes:\n +0 +done\n/);
    expect(await run("--version")).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });

  test.each([
    [["chek"], "Did you mean check?"],
    [["run", "--twice"], "unknown option '--twice'"],
    [["consume", "--trace-slow", "2s"], "Give a number of milliseconds from 0"],
    [["dlq", "list", "--since", "yesterday"], "Give a time like 2026"],
    [["dlq", "show"], "missing required argument 'id'"],
    [[], "Usage: headrace"],
    [["dlq"], "Usage: headrace dlq"],
  ])("wrong usage exits with code 2: %j", async (args, message) => {
    const { exitCode, stdout, stderr } = await run(...args);
    expect(stderr).toContain(message);
    expect(stdout).toBe("");
    expect(exitCode).toBe(2);
  });

  test.each([["check"], ["run"], ["dlq", "replay"]])(
    "a mistake in the config exits with code 2: %s",
    async (...command) => {
      const file = join(folder, `${command.join("-")}.yaml`);
      await writeFile(file, "name: shop\nkafka: { brokers: x, partitons: 4 }\n");
      const { exitCode, stdout, stderr } = await run(...command, "--config", file);
      expect(stderr).toContain(`${file} has 5 mistakes:\n`);
      expect(stderr).toContain("line 2, kafka.partitons: unknown key; did you mean partitions?");
      expect(stdout).toBe("");
      expect(exitCode).toBe(2);
    },
  );

  test("a missing config file exits with code 2", async () => {
    const { exitCode, stderr } = await run("run", "-c", join(folder, "no.yaml"));
    expect(stderr).toContain("the file does not exist");
    expect(exitCode).toBe(2);
  });
});
