// Streams that cannot resume at their position. On a mongod with a small oplog, which the tests really fill.
import type { Db } from "mongodb";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { SourceBatch } from "../../../src/producers/ports.ts";
import type { Position, Version } from "../../../src/schemas/change-event.ts";
import { canonicalKey } from "../../../src/schemas/keys/document-key.ts";
import { ModelWriter } from "../../support/model-writer.ts";
import { printedSeed, seededRandom } from "../../support/random.ts";
import { useRollingMongodb } from "../../support/rolling-mongodb.ts";
import { uniqueName } from "../../support/servers.ts";
import {
  catchUp,
  collect,
  contentOf,
  documentChanges,
  extendedJsonOf,
  finalState,
  keyOfChange,
  lastPosition,
  silentLogger,
  sourceOf,
} from "./source-collector.ts";
import type { Item } from "./source-collector.ts";

const mongodb = useRollingMongodb();

function freshDatabase(): Db {
  const db = mongodb.client.db(uniqueName("test"));
  onTestFinished(async () => {
    await db.dropDatabase();
  });
  return db;
}

async function modelWriter(db: Db): Promise<ModelWriter> {
  await db.createCollection("model");
  const random = seededRandom(printedSeed());
  return new ModelWriter({ client: mongodb.client, db, random, collections: ["model"], keys: 20 });
}

async function writeSome(writer: ModelWriter, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await writer.step();
}

/** The content of a table that applies all events. Checks that no key's versions fall. */
function tableOf(batches: readonly SourceBatch[]): Map<string, string> {
  const rows = new Map<string, { readonly version: Version; readonly text: string | undefined }>();
  for (const event of batches.flatMap(({ events }) => events)) {
    if (event.op === "t") {
      for (const [id, { version }] of rows) {
        if (id.startsWith(`${event.collection}/`) && version < event.version) rows.delete(id);
      }
      continue;
    }
    const key = keyOfChange(event);
    expect(event.version).toBeGreaterThanOrEqual(rows.get(key)?.version ?? 0n);
    rows.set(key, { version: event.version, text: finalState([event]).get(key) });
  }
  return new Map([...rows].flatMap(([id, { text }]) => (text === undefined ? [] : [[id, text]])));
}

describe("a resume token that MongoDB refuses, while the oplog still has its time", () => {
  const refusals: readonly (readonly [string, (token: string) => string])[] = [
    ["is not found", (token) => token.replace(/5A1004[0-9A-F]{32}/, `5A1004${"0".repeat(32)}`)],
    ["is cut short", (token) => token.slice(0, 20)],
    ["is of another format", () => "FF00112233445566"],
    ["is no hex", () => "token"],
    ["is empty", () => ""],
  ];
  test.each(refusals)(
    "a token that %s, inside a transaction: repeated events have the same content",
    async (_, spoil) => {
      const db = freshDatabase();
      const writer = await modelWriter(db);
      await writeSome(writer, 50);
      const bulk = db.collection<Item>("bulk");
      await bulk.insertOne({ _id: -1 });
      const begin = await catchUp(db, null);
      await writeSome(writer, 50);
      // More than a batch, all of one time.
      await mongodb.client.withSession((session) =>
        session.withTransaction(async () => {
          await bulk.insertMany(
            Array.from({ length: 5_000 }, (__, _id) => ({ _id })),
            { session },
          );
        }),
      );
      const inside = await collect(sourceOf(db), lastPosition(begin), ({ events }) =>
        events.some(({ collection }) => collection === "bulk"),
      );
      const stopped = lastPosition(inside);
      const resumeToken = spoil(stopped.resumeToken ?? "");
      expect(resumeToken).not.toBe(stopped.resumeToken);
      await bulk.updateOne({ _id: 7 }, { $set: { n: 1 } });
      await bulk.deleteOne({ _id: 8 });
      await writeSome(writer, 50);

      const warn = vi.fn();
      const rest = await catchUp(db, { ...stopped, resumeToken }, { logger: { ...silentLogger, warn } });
      expect(warn.mock.calls).toEqual([
        [{ err: expect.anything() as unknown }, expect.stringContaining("resume token")],
      ]);
      const batches = [...begin, ...inside, ...rest];
      expect(tableOf(batches)).toEqual(await contentOf(db, ["model", "bulk"]));
      for (const change of documentChanges(batches)) {
        if (change.collection !== "model") continue;
        const _id = canonicalKey("string", change.documentKey);
        const fields = writer.history.fieldsAt("model", _id, change.version);
        const text = fields === null ? undefined : extendedJsonOf({ _id, ...fields });
        expect(finalState([change]).get(keyOfChange(change))).toBe(text);
      }
    },
  );
});

describe("an oplog that has rolled past the position", () => {
  async function setUp(): Promise<{ db: Db; begin: readonly SourceBatch[]; position: Position }> {
    const db = freshDatabase();
    const items = db.collection<Item>("items");
    await items.insertMany(["kept", "changed", "deleted", "made again"].map((_id) => ({ _id, n: 1 })));
    await db.collection<Item>("dropped").insertMany([{ _id: 1 }, { _id: 2 }]);
    const begin = await catchUp(db, null);
    const position = lastPosition(begin);
    await items.updateOne({ _id: "changed" }, { $set: { n: 2 } });
    await items.deleteMany({ _id: { $in: ["deleted", "made again"] } });
    await items.insertMany(["made", "made again"].map((_id) => ({ _id, n: 3 })));
    await db.dropCollection("dropped");
    await db.collection<Item>("new").insertMany([{ _id: 1 }, { _id: 2 }]);
    await mongodb.rollOplog();
    expect(await mongodb.oplogStart()).toBeGreaterThan(position.clusterTime);
    return { db, begin, position };
  }

  test("stops the producer with a remedy", async () => {
    const { db, position } = await setUp();
    const refused = {
      code: "HISTORY_LOST",
      kind: "fatal",
      remedy: expect.stringContaining("onHistoryLost") as unknown,
    };
    await expect(catchUp(db, position)).rejects.toMatchObject(refused);
    await expect(catchUp(db, { ...position, resumeToken: null })).rejects.toMatchObject(refused);
    await expect(
      catchUp(db, position, { onHistoryLost: "resnapshot", onDrop: "fail", collections: null }),
    ).rejects.toMatchObject({ code: "COLLECTION_DROPPED", message: expect.stringContaining('"dropped"') as unknown });
  });

  test("leads to new snapshots, and rows of deleted documents go at their end, wherever it is stopped", async () => {
    const { db, begin, position } = await setUp();
    const warn = vi.fn();
    const historyLost = vi.fn();
    const options = {
      onHistoryLost: "resnapshot",
      logger: { ...silentLogger, warn },
      observer: { historyLost },
    } as const;
    const batches = [...begin];
    let from = position;
    for (let sessions = 0; sessions < 5; sessions++) {
      let left = 1 + sessions;
      batches.push(...(await collect(sourceOf(db, options), from, () => --left === 0)));
      from = lastPosition(batches);
      await db.collection<Item>("items").updateOne({ _id: "made" }, { $set: { sessions } });
    }
    batches.push(...(await catchUp(db, from, options)));
    expect(historyLost).toHaveBeenCalledOnce();
    expect(warn.mock.calls.map(([, message]) => message as string)).toEqual([
      expect.stringContaining("copying all collections again"),
    ]);
    expect(tableOf(batches)).toEqual(await contentOf(db, ["items", "new"]));
    const truncated = batches.flatMap(({ events }) => events).filter(({ op }) => op === "t");
    expect(truncated.map(({ collection }) => collection).toSorted()).toEqual(["dropped", "items"]);
    // Every document has been read again before the truncates.
    for (let at = begin.length; at < batches.length; at++) {
      const rows = tableOf(batches.slice(0, at));
      for (const _id of ["kept", "changed"]) expect(rows.has(`items/${JSON.stringify(_id)}`)).toBe(true);
    }
    expect(documentChanges(batches.slice(begin.length)).every(({ version }) => version > position.clusterTime)).toBe(
      true,
    );
  });

  test("ends an open stream, and the next session resumes", async () => {
    const db = freshDatabase();
    await db.collection<Item>("items").insertMany([{ _id: 1 }, { _id: 2 }]);
    const begin = await catchUp(db, null);
    const seen: SourceBatch[] = [];
    const reading = collect(sourceOf(db), lastPosition(begin), async (batch) => {
      seen.push(batch);
      // Like a frozen process: the server removes the entries that its cursor has to read next.
      await db.collection<Item>("items").insertOne({ _id: 2 + seen.length });
      await mongodb.rollOplog();
      await mongodb.rollOplog();
      return false;
    });
    await expect(reading).rejects.toMatchObject({ code: "STREAM_LOST", kind: "retryable" });
    await db.collection("items").deleteOne({});
    const rest = await catchUp(db, lastPosition(seen), { onHistoryLost: "resnapshot" });
    expect(tableOf([...begin, ...seen, ...rest])).toEqual(await contentOf(db, ["items"]));
  });

  test("does not matter in mode only", async () => {
    const { db, position } = await setUp();
    const batches = await catchUp(db, position, { snapshotMode: "only" });
    expect(finalState(documentChanges(batches))).toEqual(await contentOf(db, ["items", "new"]));
  });
});

test("a stream keeps up with the oplog when only other collections and databases are written", async () => {
  const db = freshDatabase();
  await db.collection<Item>("items").insertOne({ _id: 1 });
  const collections = ["items"];
  const start = lastPosition(await catchUp(db, null, { collections }));
  const other = db.collection<Item>("others");
  // Only a little between two batches, so that a slow machine does not lose the stream itself.
  const hasRolled = async ({ position }: SourceBatch): Promise<boolean> => {
    await mongodb.fillOplog();
    await other.updateOne({ _id: 1 }, { $set: { at: new Date() } }, { upsert: true });
    const rolledFrom = await mongodb.oplogStart();
    return rolledFrom > start.clusterTime && position.clusterTime >= rolledFrom;
  };
  const batches = await collect(sourceOf(db, { collections }), start, hasRolled);
  expect(batches.flatMap(({ events }) => events)).toEqual([]);
  const position = lastPosition(batches);
  await db.collection<Item>("items").insertOne({ _id: 2 });
  const changes = documentChanges(await catchUp(db, position, { collections }));
  expect(changes.map(keyOfChange)).toEqual(['items/{"$numberLong":"2"}']);
});

describe("the last event, by which a restore is noticed", () => {
  type Write = (db: Db) => Promise<unknown>;
  const items = (db: Db) => db.collection<Item>("items");
  const writes: readonly (readonly [string, Write])[] = [
    ["an insert", (db) => items(db).insertOne({ _id: 2 })],
    ["an update", (db) => items(db).updateOne({ _id: 1 }, { $set: { n: 1 } })],
    ["a large update", (db) => items(db).updateOne({ _id: 1 }, { $set: { text: "x".repeat(15_000_000) } })],
    ["a replace", (db) => items(db).replaceOne({ _id: 1 }, { n: 2 })],
    ["a delete", (db) => items(db).deleteOne({ _id: 1 })],
    ["a drop", (db) => items(db).drop()],
    ["a rename", (db) => items(db).rename("others")],
    ["the end of the database", (db) => db.dropDatabase()],
    [
      "a transaction",
      (db) =>
        mongodb.client.withSession((session) =>
          session.withTransaction(() => items(db).insertMany([{ _id: 2 }, { _id: 3 }], { session })),
        ),
    ],
  ];

  test.each(writes)("is found again: %s", async (_, write) => {
    const db = freshDatabase();
    await items(db).insertOne({ _id: 1 });
    const begin = lastPosition(await catchUp(db, null));
    await write(db);
    const position = lastPosition(await catchUp(db, begin));
    expect(position.lastEvent).toBeGreaterThan(begin.lastEvent ?? 0n);
    await mongodb.client.db(`${db.databaseName}_other`).collection("items").insertOne({});
    await mongodb.client.db(`${db.databaseName}_other`).dropDatabase();
    expect(lastPosition(await catchUp(db, position)).lastEvent).toBe(position.lastEvent);
  });

  test("is not there: history is lost, and nothing is copied at a time before what was published", async () => {
    const db = freshDatabase();
    await items(db).insertOne({ _id: 1 });
    const begin = lastPosition(await catchUp(db, null));
    // So that the time before is one of another database.
    await mongodb.client.db(`${db.databaseName}_other`).collection("items").insertOne({});
    await mongodb.client.db(`${db.databaseName}_other`).dropDatabase();
    await items(db).insertOne({ _id: 2 });
    const position = lastPosition(await catchUp(db, begin));
    const earlier = { ...position, lastEvent: (position.lastEvent ?? 0n) - 1n };
    await expect(catchUp(db, earlier)).rejects.toMatchObject({ code: "HISTORY_LOST", kind: "fatal" });
    const later = { ...position, lastEvent: position.clusterTime + (3_600n << 32n) };
    await expect(catchUp(db, later)).rejects.toMatchObject({ code: "HISTORY_LOST" });
    const options = { onHistoryLost: "resnapshot" } as const;
    const ahead = { ...later, clusterTime: later.lastEvent };
    await expect(catchUp(db, ahead, options)).rejects.toMatchObject({
      code: "MONGODB_CLOCK_BEHIND",
      kind: "retryable",
    });
    const events = documentChanges(await catchUp(db, later, options));
    expect(finalState(events)).toEqual(await contentOf(db, ["items"]));
  });
});
