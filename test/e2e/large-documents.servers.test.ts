import { randomBytes } from "node:crypto";
import type { Collection, Db } from "mongodb";
import { expect, test } from "vitest";
import { freshPipeline, type Pipeline } from "../support/pipeline.ts";

interface LargeDocument {
  _id: number;
  n: number;
  [field: string]: unknown;
}

const DOCUMENTS = 20;
const DOCUMENT_BYTES = 15_000_000;
const MOST_MEMORY_BYTES = 800_000_000;
const COLLECTIONS = ["plain", "typed"];

const minutes = 60_000;

/** Contents that need memory in different places: incompressible, compressible, and with a long text in PostgreSQL. */
function content(kind: number): Record<string, unknown> {
  const text = randomBytes(DOCUMENT_BYTES / 2).toString("hex");
  switch (kind % 4) {
    case 0:
      return { text };
    case 1:
      return { text: "ü".repeat(DOCUMENT_BYTES / 2) };
    case 2:
      return { other: Array.from({ length: DOCUMENT_BYTES / 20 }, () => Math.random()) };
    default:
      return { text: text.slice(0, DOCUMENT_BYTES / 2), other: "x".repeat(DOCUMENT_BYTES / 2) };
  }
}

function collections(db: Db): Collection<LargeDocument>[] {
  return COLLECTIONS.map((name) => db.collection<LargeDocument>(name));
}

async function expectEqual(pipeline: Pipeline): Promise<void> {
  const verified = await pipeline.run("verify", "--json", "--wait", "300");
  expect(JSON.parse(verified.stdout), verified.stderr).toMatchObject({
    equal: true,
    collections: COLLECTIONS.map((collection) => ({ collection, documents: DOCUMENTS, deadLetteredCount: 0 })),
  });
}

test(
  "copies documents of nearly 16 MB by snapshot and stream, and memory does not grow with their number",
  async () => {
    const pipeline = await freshPipeline({
      collections: { plain: {}, typed: { columns: { n: "bigint", text: "text" } } },
    });
    for (let _id = 0; _id < DOCUMENTS; _id++) {
      for (const documents of collections(pipeline.db)) await documents.insertOne({ _id, n: 0, ...content(_id) });
    }
    const producer = pipeline.start("produce");
    for (const name of COLLECTIONS) {
      await producer.logged(`"collection":"${name}","msg":"snapshot done"`, { withinMs: 5 * minutes });
    }
    const consumer = pipeline.start("consume");
    await expectEqual(pipeline);

    for (const documents of collections(pipeline.db)) {
      await documents.updateMany({}, { $set: { n: 1 } });
      for (let _id = 0; _id < DOCUMENTS; _id += 2) await documents.replaceOne({ _id }, { n: 2, ...content(_id + 1) });
    }
    await expectEqual(pipeline);
    expect(producer.peakMemoryBytes).toBeLessThan(MOST_MEMORY_BYTES);
    expect(consumer.peakMemoryBytes).toBeLessThan(MOST_MEMORY_BYTES);
  },
  15 * minutes,
);
