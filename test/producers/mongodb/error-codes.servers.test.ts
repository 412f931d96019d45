// MongoDB's error codes (src/mongo/base/error_codes.yml), as a real server sends them.
import { MongoClient } from "mongodb";
import { expect, onTestFinished, test } from "vitest";
import { mongoError } from "../../../src/producers/mongodb/errors.ts";
import { retry } from "../../../src/runtime/retry.ts";
import { useOwnMongodb } from "../../support/own-mongodb.ts";
import { uniqueName } from "../../support/servers.ts";
import {
  catchUp,
  collect,
  contentOf,
  documentChanges,
  finalState,
  lastPosition,
  sourceOf,
} from "./source-collector.ts";
import type { Item } from "./source-collector.ts";

const mongodb = useOwnMongodb({});

/** By category of the server: NetworkError, Interruption, NotPrimaryError and so on; and what else passes by itself. */
const PASSING = {
  NetworkError: [6, 7, 89, 317, 384, 9001],
  RetriableError: [
    91, 134, 189, 262, 358, 402, 406, 407, 412, 453, 462, 10107, 11600, 11602, 13435, 13436, 50915, 91331,
  ],
  SystemOverloadedError: [433, 449, 450, 462],
  Interruption: [24, 50, 237, 279, 290, 355, 11601, 46841, 10045600],
  ShutdownError: [333],
  CursorInvalidatedError: [43, 175, 314],
  SnapshotError: [239, 246, 250, 272],
  StaleShardVersionError: [63, 150, 234],
  others: [
    93, 94, 107, 112, 117, 133, 143, 145, 164, 190, 206, 208, 215, 216, 221, 230, 261, 264, 276, 365, 12586, 14031,
  ],
};

async function failing(data: object, times: number): Promise<MongoClient> {
  const appName = uniqueName("codes");
  const client = await MongoClient.connect(mongodb.uri, { appName, retryReads: false });
  const failPoint = { configureFailPoint: "failCommand", data: { ...data, appName } };
  const set = (mode: unknown) => mongodb.client.db("admin").command({ ...failPoint, mode });
  await set(times === Infinity ? "alwaysOn" : { times });
  onTestFinished(async () => {
    await set("off");
    await client.close();
  });
  return client;
}

test.each(Object.entries(PASSING))("%s: the source goes on, whichever read gets the error", async (_, codes) => {
  const name = uniqueName("codes");
  const items = mongodb.client.db(name).collection<Item>("items");
  for (const [index, errorCode] of codes.entries()) {
    const command = ["aggregate", "find", "getMore"][index % 3] ?? "";
    await items.insertOne({ _id: index });
    const client = await failing({ failCommands: [command], errorCode }, 1);
    let attempts = 0;
    const batches = await retry(() => (attempts++, catchUp(client.db(name), null)), { maxDelayMs: 1 });
    const found = finalState(documentChanges(batches));
    expect(found, `${errorCode} at ${command}`).toEqual(await contentOf(mongodb.client.db(name), ["items"]));
    expect(attempts, `${errorCode} at ${command}`).toBeLessThanOrEqual(2);
  }
});

test.each([
  ["MONGODB_LOGIN_FAILED", [11, 18, 214, 334, 392, 8000]],
  ["MONGODB_FORBIDDEN", [13]],
  ["MONGODB_NOT_REPLICA_SET", [76, 123, 40573]],
  ["STREAM_LOST", [136, 260, 280, 286, 326]],
  ["MONGODB_UNEXPECTED", [1, 2, 9, 17, 20, 26, 59, 72, 96, 146, 148, 292, 323, 411, 40324]],
])("%s", async (expected, codes) => {
  for (const errorCode of codes) {
    const client = await failing({ failCommands: ["find"], errorCode }, 1);
    const error: unknown = await client
      .db("any")
      .command({ find: "items" })
      .catch((caught: unknown) => caught);
    expect([errorCode, mongoError(error, "reading").code]).toEqual([errorCode, expected]);
  }
});

test("a cursor that the server drops again and again is an error, not a loop that nobody sees", async () => {
  const client = await failing({ failCommands: ["getMore"], errorCode: 237 }, Infinity);
  await expect(catchUp(client.db("any"), null)).rejects.toMatchObject({ code: "MONGODB_UNAVAILABLE" });
});

test("a collection is dropped while a snapshot reads it: its plan is killed, and the read is repeated", async () => {
  const name = uniqueName("codes");
  const db = mongodb.client.db(name);
  const admin = mongodb.client.db("admin");
  await db.collection<Item>("items").insertMany(Array.from({ length: 5_000 }, (_, _id) => ({ _id })));
  await db.collection<Item>("others").insertOne({ _id: 1 });
  await admin.command({ setParameter: 1, internalQueryExecYieldIterations: 1 });
  const hang = { configureFailPoint: "setYieldAllLocksHang", data: { namespace: `${name}.items` } };
  const { count } = (await admin.command({ ...hang, mode: "alwaysOn" })) as { count: number };
  const dropped = (async () => {
    await admin.command({ waitForFailPoint: hang.configureFailPoint, timesEntered: count + 1, maxTimeMS: 30_000 });
    await db.dropCollection("items");
    await admin.command({ ...hang, mode: "off" });
  })();
  const source = sourceOf(mongodb.client.db(name), { chunkDocuments: 10_000 });
  const batches = await collect(source, null, async ({ position }) => {
    const isDone = [...position.snapshots.values()].every(({ state }) => state === "done");
    if (isDone) await dropped;
    return isDone;
  });
  batches.push(...(await catchUp(db, lastPosition(batches))));
  expect(finalState(documentChanges(batches))).toEqual(await contentOf(db, ["others"]));
});
