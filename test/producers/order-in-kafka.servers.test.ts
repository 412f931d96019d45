import { expect, test, vi } from "vitest";
import { cellTexts } from "../../src/schemas/decoding/cells.ts";
import { decodeRecord } from "../../src/schemas/decoding/record-decoder.ts";
import { createSchemaRegistry } from "../../src/schemas/registry/registry.ts";
import type { Change } from "../../src/schemas/row-schema.ts";
import { topicOf } from "../../src/schemas/topics.ts";
import { ModelWriter } from "../support/model-writer.ts";
import { freshPipeline } from "../support/pipeline.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import { servers } from "../support/servers.ts";
import { readTopic, testKafka } from "./kafka/pipeline-topics.ts";
import { documentsOf, duplicatesOf, tableOf } from "./producer-under-test.ts";

const COLLECTIONS = ["one", "two", "three", "four"];
const KILLS = 8;

test("in each partition the versions of a key never fall and match MongoDB's history, however often the producer is killed", async () => {
  const pipeline = await freshPipeline({ snapshot: { chunkDocuments: 100 } });
  const { name, client, db } = pipeline;
  const random = seededRandom(printedSeed());
  // One writer per collection, because each knows only its own history. They change keys while a chunk of them is read.
  const writers = COLLECTIONS.map((collection) => ({
    collection,
    writer: new ModelWriter({ client, db, random, collections: [collection], keys: 1_000 }),
  }));
  const writeAll = (isEnough: (steps: number) => boolean): Promise<unknown> =>
    Promise.all(
      writers.map(async ({ writer }) => {
        for (let steps = 0; !isEnough(steps); steps++) await writer.step();
      }),
    );
  await writeAll((steps) => steps === 1_500);
  let isStopping = false;
  const writing = writeAll(() => isStopping);
  for (let kills = 0; kills < KILLS; kills++) {
    const before = await recordCount(name);
    const producer = pipeline.start("produce");
    // It is first killed during the snapshots, which have more records than these.
    const hasPublished = async () => expect(await recordCount(name)).toBeGreaterThan(before + 300);
    await vi.waitFor(hasPublished, { timeout: 60_000, interval: 5 });
    await producer.kill();
  }
  isStopping = true;
  await writing;
  await pipeline.run("run", "--once");

  const registry = createSchemaRegistry({ url: servers().schemaRegistryUrl });
  for (const { collection, writer } of writers) {
    const changes: Change[] = [];
    const newest = new Map<string, bigint>();
    for (const record of await readTopic(topicOf(name, db.databaseName, collection))) {
      const change = await decodeRecord(registry, record.key, record.value);
      if (change === null) continue;
      changes.push(change);
      const { key, version, cells } = change;
      expect(version, `${collection} ${key}`).toBeGreaterThanOrEqual(newest.get(key) ?? 0n);
      newest.set(key, version);
      const fields = writer.history.fieldsAt(collection, key, version);
      expect(cells === null ? null : JSON.parse(String(cellTexts(cells)[0]))).toEqual(
        fields && { _id: key, ...fields },
      );
    }
    expect(changes.filter(({ op }) => op === "r").length).toBeGreaterThan(50);
    expect(changes.filter(({ op }) => op !== "r").length).toBeGreaterThan(20);
    expect(duplicatesOf(changes)).toEqual([]);
    expect(tableOf(changes)).toEqual(await documentsOf(db, collection));
  }
});

/** The number of records in the collections' topics that exist. */
async function recordCount(name: string): Promise<number> {
  const admin = testKafka().admin();
  await admin.connect();
  const prefix = `${name}.`;
  const topics = (await admin.listTopics()).filter((topic) =>
    COLLECTIONS.some((one) => topic.startsWith(prefix) && topic.endsWith(`.${one}`)),
  );
  const ends = await Promise.all(topics.map((topic) => admin.fetchTopicOffsets(topic)));
  await admin.disconnect();
  return ends.flat().reduce((sum, { high }) => sum + Number(high), 0);
}
