// Names that every JavaScript object has: of collections, fields, columns and in `_id`s.
import { escapeIdentifier } from "pg";
import { expect, test } from "vitest";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";

const COLUMNS = ["constructor", "hasOwnProperty", "toString", "valueOf"];
const NAMES = ["__proto__", ...COLUMNS];

function byName<T>(valueOf: (name: string) => T): Record<string, T> {
  return Object.fromEntries(NAMES.map((name) => [name, valueOf(name)]));
}

async function insert({ db }: Pipeline, _id: unknown): Promise<void> {
  for (const name of NAMES) {
    const document = { _id, ...byName((field) => `${name}.${field}`), nested: byName((field) => field) };
    await db.collection(name).insertOne(document as object);
  }
}

async function rowsOf({ pool }: Pipeline, table: string, columns: readonly string[]): Promise<readonly unknown[][]> {
  const list = columns.map((column) => escapeIdentifier(column)).join(", ");
  const text = `SELECT ${list} FROM ${escapeIdentifier(table)} ORDER BY _id::text`;
  return (await pool.query({ text, rowMode: "array" })).rows as unknown[][];
}

async function runOnce(pipeline: Pipeline): Promise<void> {
  const { exitCode, stderr } = await pipeline.run("run", "--once");
  expect(exitCode, stderr).toBe(0);
}

test("in a whole database, such collections are copied and followed, with such fields and ids", async () => {
  const pipeline = await freshPipeline();
  const { db } = pipeline;
  await insert(pipeline, { ...byName((name) => name), n: 1 });
  await runOnce(pipeline);
  await insert(pipeline, { ...byName((name) => name), n: 2 });
  for (const name of NAMES) await db.collection(name).updateOne({ "_id.n": 1 }, { $set: { changed: true } });
  await runOnce(pipeline);
  for (const name of NAMES) {
    const fields = byName((field) => `${name}.${field}`);
    const [one, two] = await rowsOf(pipeline, name, ["doc"]);
    const _id = byName((each) => each);
    expect(one).toEqual([{ _id: { ..._id, n: 1 }, ...fields, nested: byName((field) => field), changed: true }]);
    expect(two).toEqual([{ _id: { ..._id, n: 2 }, ...fields, nested: byName((field) => field) }]);
  }
  const status = JSON.parse((await pipeline.run("status", "--json")).stdout) as { snapshots: object };
  expect(Object.keys(status.snapshots).toSorted()).toEqual(NAMES);
  const verify = await pipeline.run("verify");
  expect(verify.exitCode, verify.stdout + verify.stderr).toBe(0);
});

test("such collections of the config have such columns, and commands find them", async () => {
  const columns = {
    ...Object.fromEntries(COLUMNS.map((name) => [name, "text"])),
    proto: { path: ["__proto__"], type: "text" },
    inner: { path: ["nested", "__proto__"], type: "text" },
  };
  const pipeline = await freshPipeline({ collections: byName(() => ({ columns })) });
  await insert(pipeline, 1);
  const check = await pipeline.run("check");
  expect(check.exitCode, check.stdout).toBe(0);
  await runOnce(pipeline);
  await insert(pipeline, 2);
  for (const name of NAMES) expect((await pipeline.run("snapshot", "--collection", name)).exitCode).toBe(0);
  await runOnce(pipeline);
  for (const name of NAMES) {
    const values = [...NAMES.map((field) => `${name}.${field}`), "__proto__"];
    expect(await rowsOf(pipeline, name, ["proto", ...COLUMNS, "inner"])).toEqual([values, values]);
  }
  const verify = await pipeline.run("verify");
  expect(verify.exitCode, verify.stdout + verify.stderr).toBe(0);
  expect((await pipeline.run("verify", "--collection", "isPrototypeOf")).exitCode).toBe(2);
  const removed = await pipeline.run("remove", "--collection", "__proto__", "--tables", "--yes");
  expect(removed.exitCode, removed.stderr).toBe(0);
  const { rows } = await pipeline.pool.query("SELECT to_regclass($1) AS found", [`${pipeline.schema}.__proto__`]);
  expect(rows).toEqual([{ found: null }]);
});
