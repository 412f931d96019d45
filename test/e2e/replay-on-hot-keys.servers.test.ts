import { expect, test } from "vitest";
import { auditEntries, auditViolations, createAuditedTables } from "../support/audit-trail.ts";
import { rowOf } from "../support/model-tables.ts";
import { ModelWriter } from "../support/model-writer.ts";
import { freshPipeline } from "../support/pipeline.ts";
import { printedSeed, seededRandom } from "../support/random.ts";

test(
  "a replay of dead letters neither resurrects deleted rows nor overwrites newer ones",
  async () => {
    const pipeline = await freshPipeline({
      collections: { items: {} },
      deadLetters: { window: { max: 100_000, records: 100_000 } },
    });
    const { client, db, pool } = pipeline;
    await createAuditedTables(pool, { items: "doc jsonb, CONSTRAINT unlucky CHECK ((doc->>'n')::bigint % 5 <> 0)" });
    const writer = new ModelWriter({
      client,
      db,
      random: seededRandom(printedSeed()),
      collections: ["items"],
      keys: 10,
    });
    await db.createCollection("items");
    const run = pipeline.start("run");

    while ((await auditEntries(pool)) < 100 || (await openDeadLetters(pipeline)) < 20) await writeSteps(writer, 200);
    await pool.query("ALTER TABLE items DROP CONSTRAINT unlucky");

    const replaying = pipeline.run("dlq", "replay");
    let replayed = false;
    void replaying.then(() => (replayed = true));
    while (!replayed) await writer.step();
    const { exitCode, stdout, stderr } = await replaying;
    expect(exitCode, stdout + stderr).toBe(0);

    const verified = await pipeline.run("verify", "--json", "--wait", "120");
    expect(JSON.parse(verified.stdout), verified.stderr).toMatchObject({ equal: true });
    expect(await auditViolations(pool, writer.history, rowOf)).toMatchObject({ violations: [] });
    await run.stop();
    await writer.close();
  },
  5 * 60_000,
);

async function writeSteps(writer: ModelWriter, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) await writer.step();
}

async function openDeadLetters(pipeline: { run(...args: string[]): Promise<{ stdout: string }> }): Promise<number> {
  const { stdout } = await pipeline.run("dlq", "list", "--json");
  return (JSON.parse(stdout) as unknown[]).length;
}
