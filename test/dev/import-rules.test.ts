import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { importOverrides, ROOMS, sourceFiles } from "../../dev/import-rules.ts";
import lintConfig from "../../oxlint.config.ts";

const files = sourceFiles(new URL("../../src/", import.meta.url));
const oxlint = new URL("../../node_modules/.bin/oxlint", import.meta.url).pathname;

test("every folder of src/ has a row in the table, and every row a folder or file", () => {
  const folders = new Set(files.map((file) => dirname(file)));
  const rows = Object.keys(ROOMS);
  expect([...folders].filter((folder) => !rows.includes(folder))).toEqual([]);
  expect(rows.filter((row) => !folders.has(row) && !files.includes(row))).toEqual([]);
});

test("every room or file that a row names exists", () => {
  const known = new Set(["*", ...files, ...files.map((file) => dirname(file))]);
  const named = Object.values(ROOMS).flatMap(({ may, types = [] }) => [...may, ...types]);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test("no folder of src/ has more than 16 files", () => {
  const byFolder = Map.groupBy(files, (file) => dirname(file));
  expect([...byFolder].filter(([, { length }]) => length > 16).map(([folder]) => folder)).toEqual([]);
});

/** A copy of the rules beside files that break them. */
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "headrace-rules-"));
  const { plugins, rules } = lintConfig;
  const config = {
    plugins,
    categories: { correctness: "off" },
    rules: { "import/no-cycle": rules["import/no-cycle"] },
    overrides: importOverrides(files),
  };
  await writeFile(join(folder, ".oxlintrc.json"), JSON.stringify(config));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(file: string, line: string): Promise<string> {
  const path = join(folder, "src", file);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${line}\nexport {};\n`);
  return path;
}

/** What the linter prints of a file of src/ that has one line. */
async function lint(file: string, line: string): Promise<string> {
  const path = await write(file, line);
  try {
    const { stdout } = await promisify(execFile)(oxlint, [join("src", file)], { cwd: folder });
    return stdout;
  } catch (error) {
    return (error as { stdout: string }).stdout;
  } finally {
    await rm(path);
  }
}

test.each([
  ["verify/values/x.ts", 'import { writeJson } from "../../schemas/encoding/json-writer.ts"; writeJson();'],
  ["verify/values/x.ts", 'import { parseColumnType } from "../../schemas/mapping/column-type.ts"; parseColumnType();'],
  ["verify/x.ts", 'import { fit } from "../schemas/encoding/fit.ts"; fit();'],
  ["producers/order/x.ts", 'import { mongoError } from "../mongodb/errors.ts"; mongoError();'],
  ["producers/order/x.ts", 'import { BSON } from "mongodb"; BSON.serialize({});'],
  ["consumers/batches/x.ts", 'import { PostgresSink } from "../postgres/sink.ts"; PostgresSink;'],
  ["consumers/batches/x.ts", 'import type { Pool } from "pg"; export const a: Pool | null = null;'],
  ["consumers/kafka/x.ts", 'import { bisect } from "../batches/bisect.ts"; bisect();'],
  [
    "consumers/run-consumer.ts",
    'import { openPipelineReader } from "../operations/pipeline-reader.ts"; openPipelineReader();',
  ],
  ["consumers/consumer.ts", 'import { PostgresSink } from "./postgres/sink.ts"; PostgresSink;'],
  ["producers/run-producer.ts", 'import { Kafka } from "kafkajs"; Kafka;'],
  ["runtime/x.ts", 'import { topicOf } from "../schemas/topics.ts"; topicOf();'],
  ["cli/x.ts", 'import { startStack } from "../../dev/stack/stack.ts"; startStack();'],
])("the linter refuses an import that the table does not allow: %s, %s", async (file, line) => {
  expect(await lint(file, line)).toContain("no-restricted-imports");
});

test.each([
  [
    "verify/values/x.ts",
    'import type { ColumnType } from "../../schemas/mapping/column-type.ts"; export const a: ColumnType | null = null;',
  ],
  ["verify/x.ts", 'import { mongoError } from "../producers/mongodb/errors.ts"; mongoError();'],
  ["producers/run-producer.ts", 'import type { Kafka } from "kafkajs"; export const a: Kafka | null = null;'],
  ["consumers/run-consumer.ts", 'import { PostgresSink } from "./postgres/sink.ts"; PostgresSink;'],
])("the linter accepts an import that the table allows: %s, %s", async (file, line) => {
  expect(await lint(file, line)).not.toContain("no-restricted-imports");
});

test("the linter refuses two files that import types from each other", async () => {
  await write("errors/a.ts", 'import type { B } from "./b.ts"; export type A = B | null;');
  expect(await lint("errors/b.ts", 'import type { A } from "./a.ts"; export type B = A | undefined;')).toContain(
    "no-cycle",
  );
});
