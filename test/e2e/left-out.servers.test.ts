import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { headrace } from "../../dev/headrace-process.ts";
import { freshPipeline } from "../support/pipeline.ts";
import { servers } from "../support/servers.ts";

const CAPPED = "it is capped, and MongoDB cannot read it at a given cluster time";

test("check, status, /status's position and init list the collections that cannot be replicated; the others are", async () => {
  const pipeline = await freshPipeline();
  const { db, pool, configFile } = pipeline;
  const long = "x".repeat(70);
  for (const name of ["a.b", "a_b", long, "things"]) await db.collection(name).insertOne({ a: 1 });
  await db.createCollection("log", { capped: true, size: 10_000 });
  await db.createCollection("view", { viewOn: "things", pipeline: [] });

  const check = await pipeline.run("check");
  expect(check.exitCode, check.stdout).toBe(0);
  expect(check.stdout).toContain('leaves out "view": it is a view\n');
  expect(check.stdout).toContain(`leaves out "log": ${CAPPED}\n`);

  const run = await pipeline.run("run", "--once");
  expect(run.exitCode, run.stderr).toBe(0);
  expect(run.stderr.match(/left out/g)).toHaveLength(1);
  const { rows } = await pool.query("SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1", [
    pipeline.schema,
  ]);
  expect(rows).toEqual([{ tablename: "a.b" }, { tablename: "things" }]);

  const status = JSON.parse((await pipeline.run("status", "--json")).stdout) as { leftOut: Record<string, string> };
  expect(status.leftOut).toEqual({
    a_b: expect.stringContaining('differ only in "." and "_"'),
    log: CAPPED,
    [long]: "its name cannot be the table's name because it has 70 bytes; PostgreSQL allows at most 63",
    view: "it is a view",
  });
  expect((await pipeline.run("status")).stdout).toContain("left out      view: it is a view\n");
  expect((await pipeline.run("verify")).exitCode).toBe(0);

  const out = `${configFile}.init.yaml`;
  const env = { ...process.env, MONGODB_URI: servers().mongodbUri };
  expect((await headrace(["init", "-d", db.databaseName, "-o", out], env)).exitCode).toBe(0);
  expect(await readFile(out, "utf8")).toContain('  # left out: "view": it is a view\n');
});
