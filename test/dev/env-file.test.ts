import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, test } from "vitest";
import { claimEnvFile, formatEnvFile, writeEnvFile } from "../../dev/env-file.ts";
import { serverEnvironment, serverUrlsFrom } from "../../dev/stack/server-urls.ts";

// All characters that mean something to a shell or to a parser of environment files.
const urls = {
  mongodbUri: "mongodb://127.0.0.1:1/?replicaSet=a&x=$HOME#b",
  kafkaBrokers: "127.0.0.1:2,127.0.0.1:3",
  schemaRegistryUrl: 'http://127.0.0.1:3/"`id`\\n',
  postgresUrl: "postgres://a:b%27c@127.0.0.1:4/postgres?options=-c a=b",
};

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headrace-test-"));
  file = join(folder, "env");
});

afterEach(() => rmSync(folder, { recursive: true }));

test("a shell and node --env-file read the same values", () => {
  writeEnvFile(file, urls);
  const print = "process.stdout.write(JSON.stringify(process.env))";
  const options = { encoding: "utf8", env: { PATH: process.env["PATH"] } } as const;
  const shell = execFileSync("sh", ["-c", `set -a; . ${file}; "$0" -e '${print}'`, process.execPath], options);
  const node = execFileSync(process.execPath, [`--env-file=${file}`, "-e", print], options);
  for (const output of [shell, node]) {
    expect(serverUrlsFrom(JSON.parse(output) as Record<string, string>)).toEqual(urls);
  }
});

test("an address with a quote or a line break is refused", () => {
  for (const character of ["'", "\n", "\r"]) {
    expect(() => formatEnvFile({ ...urls, kafkaBrokers: `a${character}b` }, 1)).toThrow("KAFKA_BROKERS");
  }
});

test("refuses to overwrite the file of a running stack", () => {
  writeFileSync(file, formatEnvFile(urls, process.ppid));
  expect(() => claimEnvFile(file)).toThrow(`belongs to the running stack of process ${process.ppid}`);
});

test("refuses to overwrite a file that was not written by a stack", () => {
  writeFileSync(file, "SECRET=1\n");
  expect(() => claimEnvFile(file)).toThrow("was not written by a stack");
  expect(readFileSync(file, "utf8")).toBe("SECRET=1\n");
});

test("replaces the file of a killed stack", () => {
  const gone = Number(execFileSync("sh", ["-c", "echo $$"], { encoding: "utf8" }));
  writeFileSync(file, formatEnvFile({ ...urls, kafkaBrokers: "old:1" }, gone));
  claimEnvFile(file);
  writeEnvFile(file, urls);
  expect(readFileSync(file, "utf8")).toBe(formatEnvFile(urls, process.pid));
});

test("whoever waits for the file never finds a part of it", async () => {
  const ended = new Int32Array(new SharedArrayBuffer(4));
  const code = `const { parentPort, workerData } = require("node:worker_threads");
    const { readFileSync } = require("node:fs");
    const lengths = new Set();
    parentPort.postMessage("reads");
    while (Atomics.load(workerData.ended, 0) === 0) try { lengths.add(readFileSync(workerData.file).length); } catch {}
    parentPort.postMessage([...lengths]);`;
  const reader = new Worker(code, { eval: true, workerData: { ended, file } });
  await once(reader, "message");
  for (let round = 0; round < 500; round++) {
    writeEnvFile(file, urls);
    rmSync(file);
  }
  Atomics.store(ended, 0, 1);
  expect(await once(reader, "message")).toEqual([[formatEnvFile(urls, process.pid).length]]);
  expect(readdirSync(folder)).toEqual([]);
});

test("allows a file that does not exist, and does not create it", () => {
  claimEnvFile(file);
  expect(existsSync(file)).toBe(false);
});

test("empty variables count as not set", () => {
  expect(serverUrlsFrom({ MONGODB_URI: "", KAFKA_BROKERS: "a:1" })).toEqual({ kafkaBrokers: "a:1" });
  expect(serverUrlsFrom(serverEnvironment(urls))).toEqual(urls);
});
