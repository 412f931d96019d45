// On a mongod with a small oplog, which the tests really fill.
import { randomBytes } from "node:crypto";
import { MongoClient } from "mongodb";
import { expect, onTestFinished, test, vi } from "vitest";
import { clusterTimes } from "../../../src/producers/mongodb/client.ts";
import { readOplogWindow, watchOplog } from "../../../src/producers/mongodb/oplog.ts";
import type { OplogReport } from "../../../src/producers/ports.ts";
import type { Version } from "../../../src/schemas/change-event.ts";
import { useRollingMongodb } from "../../support/rolling-mongodb.ts";
import { uniqueName } from "../../support/servers.ts";
import { silentLogger } from "./source-collector.ts";

const mongodb = useRollingMongodb();
const WAIT = { timeout: 60_000, interval: 20 };

/** Watches the oplog for a producer at `position`. */
function watch(client: MongoClient, position: () => Version | null) {
  const stopping = new AbortController();
  const logger = { ...silentLogger, warn: vi.fn(), info: vi.fn() };
  const oplog = vi.fn<(report: OplogReport) => void>();
  const options = { position, reserve: 0.5, observer: { oplog }, logger, signal: stopping.signal, intervalMs: 20 };
  const watching = watchOplog(client.db("any"), options);
  onTestFinished(async () => {
    stopping.abort();
    await watching;
  });
  return { ...logger, oplog };
}

test("it warns once before the oplog loses unread changes, and logs when the danger is over", async () => {
  const { client } = mongodb;
  const db = client.db("any");
  await mongodb.rollOplog();
  let position: Version | null = null;
  const { warn, info, oplog } = watch(client, () => position);
  const { latest } = await clusterTimes(db);
  position = latest;
  await vi.waitFor(() => expect(oplog).toHaveBeenCalled(), WAIT);
  expect(warn).not.toHaveBeenCalled();

  const filler = client.db("filler").collection("filler");
  while (warn.mock.calls.length === 0) await filler.insertOne({ bytes: randomBytes(100_000) });
  const report = { windowMs: expect.any(Number) as number, positionAgeMs: expect.any(Number) as number };
  expect(oplog.mock.lastCall).toEqual([report]);
  for (let looks = oplog.mock.calls.length; oplog.mock.calls.length < looks + 3;) {
    await filler.insertOne({ bytes: randomBytes(100_000) });
  }
  expect(warn.mock.calls.map(([, message]) => message as string)).toEqual([expect.stringContaining("will soon lose")]);

  ({ latest: position } = await clusterTimes(db));
  await vi.waitFor(
    () => expect(info).toHaveBeenCalledWith(expect.anything(), expect.stringContaining("safely within")),
    WAIT,
  );
});

test("the window is the time from the oplog's first to its last entry", async () => {
  const db = mongodb.client.db("any");
  const before = await readOplogWindow(db);
  await mongodb.rollOplog();
  const after = await readOplogWindow(db);
  expect(after?.start).toBe(await mongodb.oplogStart());
  expect(after?.start).toBeGreaterThan(before?.end ?? 0n);
  expect(after?.end).toBeGreaterThan(after?.start ?? 0n);
});

test("an oplog whose first entries are removed counts as full", async () => {
  const db = mongodb.client.db("any");
  await mongodb.rollOplog();
  // MongoDB removes each insert of 2 MB as a whole. Just after that an oplog of 8 MB may be less than full.
  const fill = async (): Promise<boolean | undefined> => {
    await mongodb.fillOplog();
    return (await readOplogWindow(db))?.isFull;
  };
  await expect.poll(fill, WAIT).toBe(true);
});

test("if the user may not read the oplog, it logs that once, and still reports the position's age", async () => {
  const appName = uniqueName("restricted");
  const client = await MongoClient.connect(mongodb.uri, { appName });
  onTestFinished(() => client.close());
  const failPoint = { configureFailPoint: "failCommand", data: { failCommands: ["find"], errorCode: 13, appName } };
  await mongodb.client.db("admin").command({ ...failPoint, mode: "alwaysOn" });
  onTestFinished(async () => {
    await mongodb.client.db("admin").command({ ...failPoint, mode: "off" });
  });
  expect(await readOplogWindow(client.db("any"))).toBeNull();
  const { latest } = await clusterTimes(client.db("any"));
  const { info, warn, oplog } = watch(client, () => latest - (60n << 32n));
  await vi.waitFor(() => expect(oplog.mock.calls.length).toBeGreaterThan(3), WAIT);
  for (const [report] of oplog.mock.calls) {
    expect(report.windowMs).toBeNull();
    expect(report.positionAgeMs).toBeGreaterThanOrEqual(60_000);
  }
  expect(info.mock.calls.map(([, message]) => message as string)).toEqual([
    expect.stringContaining("role `read` on the database `local`"),
  ]);
  expect(warn).not.toHaveBeenCalled();
});
