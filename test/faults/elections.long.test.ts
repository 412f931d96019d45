import { expect, test, vi } from "vitest";
import { THREE_MEMBERS } from "../../dev/stack/server-settings.ts";
import { auditEntries, auditViolations, createAuditedTables, rowDifferences } from "../support/audit-trail.ts";
import { columnsOf, rowOf } from "../support/model-tables.ts";
import { ModelWriter } from "../support/model-writer.ts";
import { useOwnMongodb } from "../support/own-mongodb.ts";
import { freshPipeline } from "../support/pipeline.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import { uniqueName } from "../support/servers.ts";

const MINUTES = 60_000;

const mongodb = useOwnMongodb(THREE_MEMBERS);

test(
  "continues after elections, whether the primary steps down or crashes",
  async () => {
    const database = uniqueName("elections");
    const db = mongodb.client.db(database);
    const pipeline = await freshPipeline({
      mongodb: { uri: mongodb.uri, database },
      collections: { plain: {} },
      snapshot: { chunkDocuments: 5 },
    });
    const { pool } = pipeline;
    await createAuditedTables(pool, { plain: columnsOf("plain") });
    await db.createCollection("plain");
    const random = seededRandom(printedSeed());
    const writer = new ModelWriter({ client: mongodb.client, db, random, collections: ["plain"], keys: 40 });
    const write = async (): Promise<void> => {
      const before = await auditEntries(pool);
      for (let step = 0; step < 100; step++) await writer.step();
      await expect.poll(() => auditEntries(pool), { timeout: MINUTES, interval: 50 }).toBeGreaterThan(before);
    };
    pipeline.start("run");
    await write();
    const primaries = new Set([await primary()]);
    for (let elections = 0; elections < 3; elections++) {
      await mongodb.client.db("admin").command({ replSetStepDown: 10, secondaryCatchUpPeriodSecs: 5 });
      await vi.waitFor(async () => primaries.add(await primary()), { timeout: MINUTES, interval: 100 });
      await write();
      await mongodb.restart();
      await write();
      primaries.add(await primary());
    }
    expect(primaries.size).toBeGreaterThan(1);
    const { exitCode, stdout, stderr } = await pipeline.run("verify", "--wait", "120");
    expect(exitCode, stdout + stderr).toBe(0);
    expect(await rowDifferences(pool, writer.history, "plain", rowOf)).toEqual([]);
    expect((await auditViolations(pool, writer.history, rowOf)).violations).toEqual([]);
    await writer.close();
  },
  10 * MINUTES,
);

async function primary(): Promise<string> {
  const { me } = (await mongodb.client.db("admin").command({ hello: 1 })) as { me: string };
  return me;
}
