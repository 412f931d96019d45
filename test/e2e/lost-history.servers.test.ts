import { expect, test } from "vitest";
import { clusterTimeOf } from "../producers/source-collector.ts";
import { auditViolations, createAuditedTables } from "../support/audit-trail.ts";
import { ModelWriter, printedSeed, seededRandom } from "../support/model-writer.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { useRollingMongodb } from "../support/rolling-mongodb.ts";
import { uniqueName } from "../support/servers.ts";

const mongodb = useRollingMongodb();

async function write(writer: ModelWriter, steps: number): Promise<void> {
  for (let i = 0; i < steps; i++) await writer.step();
}

async function expectEqual(pipeline: Pipeline): Promise<void> {
  const verified = await pipeline.run("verify", "--json", "--wait", "120");
  expect(JSON.parse(verified.stdout), verified.stderr).toMatchObject({ equal: true });
}

/** Counts rows over and over, until it is asked for the lowest count. */
function watchRows(pipeline: Pipeline, where: string): () => Promise<number> {
  let lowest = Infinity;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const { rows } = await pipeline.pool.query<{ count: string }>(`SELECT count(*) FROM plain WHERE ${where}`);
      lowest = Math.min(lowest, Number(rows[0]?.count));
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    return lowest;
  };
}

test(
  "a producer that was frozen until the oplog had rolled on copies everything anew: equal tables, no step back, never empty",
  { timeout: 300_000 },
  async () => {
    const { client, uri } = mongodb;
    const db = client.db(uniqueName("test"));
    const pipeline = await freshPipeline({
      mongodb: { uri, database: db.databaseName, onHistoryLost: "resnapshot" },
      snapshot: { chunkDocuments: 50 },
      collections: { plain: {} },
    });
    await createAuditedTables(pipeline.pool, { plain: "doc jsonb" });
    const writer = new ModelWriter({
      client,
      db,
      random: seededRandom(printedSeed()),
      collections: ["plain"],
      keys: 300,
    });
    await write(writer, 600);
    const producer = pipeline.start("produce");
    pipeline.start("consume");
    await expectEqual(pipeline);

    producer.freeze();
    const before = [...writer.history.documentsIn("plain").keys()];
    const frozenAt = await clusterTimeOf(db);
    await write(writer, 200);
    await mongodb.rollOplog();
    await mongodb.rollOplog();
    const kept = before.filter((key) => !writer.history.vanishesAfter("plain", key, frozenAt));
    expect(kept.length).toBeLessThan(before.length);
    const lowest = watchRows(pipeline, `_id IN (${kept.map((key) => `'${key}'`).join()})`);
    producer.thaw();
    await producer.logged("all collections are copied anew");
    await expectEqual(pipeline);

    expect(await lowest()).toBe(kept.length);
    const rowOf = (_table: string, key: string, fields: object) => ({ doc: { _id: key, ...fields } });
    expect(await auditViolations(pipeline.pool, writer.history, rowOf)).toMatchObject({ stepsBack: 0, violations: [] });
    await db.dropDatabase();
  },
);
