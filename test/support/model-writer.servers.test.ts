import type { ChangeStreamDocument, Db } from "mongodb";
import { expect, onTestFinished, test } from "vitest";
import { ModelWriter } from "./model-writer.ts";
import { printedSeed, seededRandom } from "./random.ts";
import { freshMongoDatabase } from "./servers.ts";

const COLLECTIONS = ["one", "two"];

/** Every event up to the last write. */
async function eventsOf(db: Db, writing: () => Promise<void>): Promise<ChangeStreamDocument[]> {
  const stream = db.watch();
  onTestFinished(() => stream.close());
  await stream.tryNext();
  await writing();
  await db.collection<{ _id: string }>("end").insertOne({ _id: "end" });
  const events: ChangeStreamDocument[] = [];
  for await (const event of stream) {
    if (event.operationType === "insert" && event.ns.coll === "end") break;
    events.push(event);
  }
  return events;
}

function versionOf({ clusterTime }: ChangeStreamDocument): bigint {
  return (BigInt(clusterTime!.t) << 32n) | BigInt(clusterTime!.i);
}

/** The collections that an event replaces. */
function replacedBy(event: ChangeStreamDocument): string[] {
  if (event.operationType === "drop") return [event.ns.coll];
  return event.operationType === "rename" ? [event.ns.coll, event.to.coll] : [];
}

test("the model has the documents of the collections, and the versions of the replacements", async () => {
  const { client, db } = await freshMongoDatabase();
  const random = seededRandom(printedSeed());
  const writer = new ModelWriter({ client, db, random, collections: COLLECTIONS, keys: 10, replacements: 0.1 });
  const events = await eventsOf(db, async () => {
    for (let step = 0; step < 500; step++) await writer.step();
  });
  await writer.close();
  for (const collection of COLLECTIONS) {
    const documents = await db.collection<{ _id: string }>(collection).find().toArray();
    expect(new Map(documents.map(({ _id, ...fields }) => [_id, fields]))).toEqual(
      writer.history.documentsIn(collection),
    );
    const replaced = events.filter((event) => replacedBy(event).includes(collection)).map(versionOf);
    expect(replaced.length).toBeGreaterThan(5);
    expect(new Set(replaced)).toEqual(new Set(writer.history.replacementsOf(collection)));
  }
});
