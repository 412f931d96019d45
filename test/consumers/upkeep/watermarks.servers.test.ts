// headrace.watermark and `headrace status --wait-for` on real pipelines.
import { Timestamp } from "mongodb";
import { describe, expect, test } from "vitest";
import { freshPipeline } from "../../support/pipeline.ts";
import type { Pipeline } from "../../support/pipeline.ts";

interface Thing {
  _id: number;
  n: number;
}

const POLLING = { timeout: 90_000, interval: 200 };

async function watermarkOf({ pool, schema }: Pipeline): Promise<bigint> {
  const { rows } = await pool.query("SELECT version FROM headrace.watermark WHERE relation = $1", [
    `"${schema}"."things"`,
  ]);
  return BigInt(rows[0]?.version ?? 0);
}

/** What the table lacks of the state that the collection had at a time; what is newer than that may be in it. */
async function missingAt({ db, pool, schema }: Pipeline, version: bigint): Promise<string[]> {
  const { rows } = await pool.query(
    `SELECT _id::int AS id, _version AS version, (doc->>'n')::int AS n FROM ${schema}.things
UNION ALL
SELECT key::int, version, NULL FROM headrace.tombstones WHERE relation = $1
ORDER BY version`,
    [`"${schema}"."things"`],
  );
  const known = new Map(rows.map(({ id, ...row }) => [Number(id), { n: row.n, version: BigInt(row.version) }]));
  const reply = await db.command({
    find: "things",
    batchSize: 100_000,
    readConcern: { level: "snapshot", atClusterTime: Timestamp.fromString(String(version), 10) },
  });
  const documents = new Map((reply["cursor"].firstBatch as Thing[]).map(({ _id, n }) => [_id, n]));
  const missing: string[] = [];
  for (const [id, n] of documents) {
    const row = known.get(id);
    if (row === undefined || (row.version <= version && row.n !== n)) missing.push(`${id}: ${n}`);
  }
  for (const [id, row] of known) {
    if (row.version <= version && row.n !== null && !documents.has(id)) missing.push(`${id}: deleted`);
  }
  return missing;
}

/** Writes single documents and transactions, and deletes, until the signal aborts. */
async function writeWithoutPause({ client, db }: Pipeline, signal: AbortSignal): Promise<void> {
  const things = db.collection<Thing>("things");
  for (let n = 1; !signal.aborted; n++) {
    await things.updateOne({ _id: n % 50 }, { $set: { n } }, { upsert: true });
    if (n % 5 === 0) await things.deleteOne({ _id: (n + 7) % 50 });
    if (n % 20 === 0) {
      await client.withSession((session) =>
        session.withTransaction(() => things.updateMany({}, { $set: { n } }, { session })),
      );
    }
  }
}

describe("headrace.watermark", () => {
  test("is never too high, while documents are written and one partition is blocked", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} }, kafka: { partitions: 3 } });
    await pipeline.db.collection<Thing>("things").insertMany(Array.from({ length: 50 }, (_, _id) => ({ _id, n: 0 })));
    pipeline.start("produce");
    pipeline.start("consume");
    pipeline.start("consume");
    await expect.poll(() => watermarkOf(pipeline), POLLING).toBeGreaterThan(0n);

    const written = new AbortController();
    const writing = writeWithoutPause(pipeline, written.signal);
    const holder = await pipeline.pool.connect();
    const seen = new Set<bigint>();
    try {
      for (let round = 0; seen.size < 8; round++) {
        if (round % 8 === 2) {
          await holder.query("BEGIN");
          await holder.query("SELECT FROM headrace.progress WHERE topic LIKE $1 AND partition = 1 FOR UPDATE", [
            `${pipeline.name}.%`,
          ]);
        }
        const version = await watermarkOf(pipeline);
        expect(await missingAt(pipeline, version)).toEqual([]);
        for (const before of seen) expect(version).toBeGreaterThanOrEqual(before);
        seen.add(version);
        await new Promise((resolve) => setTimeout(resolve, 250));
        if (round % 8 === 7) await holder.query("COMMIT");
      }
    } finally {
      holder.release(true);
      written.abort();
      await writing;
    }
  });

  test("rises while nothing is written", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} } });
    await pipeline.db.collection<Thing>("things").insertOne({ _id: 1, n: 1 });
    pipeline.start("produce");
    pipeline.start("consume");
    await expect.poll(() => watermarkOf(pipeline), POLLING).toBeGreaterThan(0n);
    const before = await watermarkOf(pipeline);
    await expect.poll(() => watermarkOf(pipeline), POLLING).toBeGreaterThan(before);
    const { rows } = await pipeline.pool.query(
      "SELECT source_time = to_timestamp(version >> 32) AND source_time <= now() AS is_time FROM headrace.watermark",
    );
    expect(rows).not.toContainEqual({ is_time: false });
  });

  test("exists only when the snapshot is done; before, no command reports a table as complete", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} }, snapshot: { chunkDocuments: 100 } });
    const { db, pool, schema } = pipeline;
    const count = 20_000;
    await db.collection<Thing>("things").insertMany(Array.from({ length: count }, (_, _id) => ({ _id, n: 0 })));
    const rows = async () => Number((await pool.query(`SELECT count(*) AS n FROM ${schema}.things`)).rows[0]?.n);
    const produce = pipeline.start("produce");
    pipeline.start("consume");
    await expect.poll(() => rows().catch(() => 0), POLLING).toBeGreaterThan(0);
    await produce.kill();

    const waiting = await pipeline.run("status", "--wait-for", "now", "--timeout", "8");
    expect(waiting.stderr).toContain("CATCH_UP_TIMEOUT");
    expect(waiting.exitCode).toBe(1);
    expect(await rows()).toBeLessThan(count);
    expect(await watermarkOf(pipeline)).toBe(0n);

    pipeline.start("produce");
    const version = expect.poll(async () => {
      const found = await watermarkOf(pipeline);
      if (found > 0n) expect(await rows()).toBe(count);
      return found;
    }, POLLING);
    await version.toBeGreaterThan(0n);
  });

  test("has reached the last change when `run --once` ends", async () => {
    const pipeline = await freshPipeline({ collections: { things: {} } });
    const { operationTime } = await pipeline.db.command({ insert: "things", documents: [{ _id: 1, n: 1 }] });
    expect((await pipeline.run("run", "--once")).exitCode).toBe(0);
    expect(await watermarkOf(pipeline)).toBeGreaterThanOrEqual((operationTime as Timestamp).toBigInt());
  });
});

describe("headrace status --wait-for", () => {
  test("ends when every table has all earlier changes, and prints the status", async () => {
    const pipeline = await freshPipeline({ collections: { things: {}, others: {} } });
    await pipeline.db.createCollection("others");
    pipeline.start("produce");
    const things = pipeline.db.collection<Thing>("things");
    await things.insertOne({ _id: 1, n: 1 });
    const waiting = pipeline.run("status", "--wait-for", "now", "--json");
    pipeline.start("consume");
    const { exitCode, stdout, stderr } = await waiting;
    expect(exitCode, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ snapshots: { things: "done", others: "done" } });
    expect((await pipeline.pool.query(`SELECT _id FROM ${pipeline.schema}.things`)).rows).toHaveLength(1);

    await things.insertOne({ _id: 2, n: 2 });
    const time = new Date().toISOString();
    expect((await pipeline.run("status", "--wait-for", time)).exitCode).toBe(0);
    expect((await pipeline.pool.query(`SELECT _id FROM ${pipeline.schema}.things`)).rows).toHaveLength(2);
  });

  test("refuses a time that it cannot parse", async () => {
    const pipeline = await freshPipeline();
    const { exitCode, stderr } = await pipeline.run("status", "--wait-for", "soon");
    expect(stderr).toContain("--wait-for");
    expect(exitCode).toBe(2);
  });
});
