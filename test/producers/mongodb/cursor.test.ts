import { BSON, Long, Timestamp } from "mongodb";
import type { Db } from "mongodb";
import { expect, test } from "vitest";
import { RawCursor } from "../../../src/producers/mongodb/cursor.ts";

/**
 * The driver reads the topology version out of a reply that says that the node is no primary any more, with the options of the command that
 * was sent. Its monitor (its `lib/sdam/monitor.js`, `makeTopologyVersion`) takes it for a Long or a number; of a bigint it throws in a
 * timer, which ends the process.
 */
test("integers of a reply are of a type that the driver's own monitor can read", async () => {
  let options: object = {};
  const db = {
    client: { startSession: () => ({ endSession: () => Promise.resolve() }) },
    command: (_command: object, given: object) => {
      options = given;
      return Promise.resolve({ cursor: { id: Long.ZERO, firstBatch: [] }, operationTime: new Timestamp(0n) });
    },
  } as unknown as Db;
  const { signal } = new AbortController();
  await new RawCursor(db, "items", { signal, doing: "reading" }).open({ find: "items" });
  const reply = BSON.serialize({ topologyVersion: { counter: Long.fromNumber(6) } });
  const { counter } = (BSON.deserialize(reply, options) as { topologyVersion: { counter: unknown } }).topologyVersion;
  expect(Long.isLong(counter)).toBe(true);
});
