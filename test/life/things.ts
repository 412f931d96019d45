// What the tests of a pipeline's life share: a collection of numbered things, and its table.
import type { Collection } from "mongodb";
import { expect } from "vitest";
import type { CommandResult } from "../../dev/headrace-process.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Commands, Pipeline } from "../support/pipeline.ts";

export interface Thing {
  _id: number;
  n?: number;
}

export const INTEGER_IDS = { things: { idType: "integer" } };

export function thingsOf({ db }: Pipeline): Collection<Thing> {
  return db.collection<Thing>("things");
}

export async function insertThings(pipeline: Pipeline, from: number, to: number): Promise<void> {
  const ids = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  await thingsOf(pipeline).insertMany(ids.map((_id) => ({ _id, n: 0 })));
}

/** The `_id`s of a table, in order. */
export async function idsIn({ pool, schema }: Pipeline, table = "things"): Promise<readonly number[]> {
  const { rows } = await pool.query<{ id: number }>(`SELECT _id::int AS id FROM "${schema}"."${table}" ORDER BY 1`);
  return rows.map(({ id }) => id);
}

export async function watermarkOf({ pool, schema }: Pipeline, table = "things"): Promise<bigint | null> {
  const relation = `"${schema}"."${table}"`;
  const { rows } = await pool.query<{ version: string }>("SELECT version FROM headrace.watermark WHERE relation = $1", [
    relation,
  ]);
  return rows[0] === undefined ? null : BigInt(rows[0].version);
}

export async function runOnce(commands: Commands): Promise<CommandResult> {
  const result = await commands.run("run", "--once");
  expect(result, result.stderr).toMatchObject({ exitCode: 0 });
  return result;
}

/** Runs the pipeline until MongoDB and PostgreSQL are equal by `headrace verify`, and ends it. */
export async function runUntilEqual(commands: Commands): Promise<void> {
  await runOnce(commands);
  await expectEqual(commands);
}

export async function expectEqual(commands: Commands, ...options: string[]): Promise<void> {
  const verified = await commands.run("verify", "--json", ...options);
  expect(verified.stdout === "" ? {} : JSON.parse(verified.stdout), verified.stderr).toMatchObject({ equal: true });
}

/** Expects that a command ends with exit code 1 and this code. @returns its error's line of the log */
export async function expectRefused(
  commands: Commands,
  args: readonly string[],
  code: string,
): Promise<{ readonly message: string; readonly remedy: string }> {
  const { exitCode, stdout, stderr } = await commands.run(...args);
  expect({ exitCode, output: stdout + stderr }).toMatchObject({ exitCode: 1, output: expect.stringContaining(code) });
  const line = stderr.split("\n").find((each) => each.startsWith("{") && each.includes(code));
  const { err } = JSON.parse(line ?? "{}") as { err?: { message: string; remedy: string } };
  return { message: err?.message ?? "", remedy: err?.remedy ?? "" };
}

/** A pipeline that has copied the things 1 to 5. @param config as `freshPipeline` takes it */
export async function pipelineOfThings(config: Record<string, Record<string, unknown>> = {}): Promise<Pipeline> {
  const pipeline = await freshPipeline({ collections: INTEGER_IDS, ...config });
  await insertThings(pipeline, 1, 5);
  await runUntilEqual(pipeline);
  return pipeline;
}
