// On a MongoDB of its own, which is restored from a copy of its files.
import { expect, test } from "vitest";
import { useOwnMongodb } from "../support/own-mongodb.ts";
import { freshPipeline } from "../support/pipeline.ts";
import type { Pipeline } from "../support/pipeline.ts";
import { INTEGER_IDS, expectEqual, expectRefused, idsIn, insertThings, runUntilEqual, thingsOf } from "./things.ts";

const mongodb = useOwnMongodb({});

/** A pipeline that has copied the things 1 to 5 and followed a change. */
async function pipelineWithHistory(): Promise<Pipeline> {
  const onServers = await freshPipeline({ collections: INTEGER_IDS, mongodb: { uri: mongodb.uri } });
  const pipeline = { ...onServers, db: mongodb.client.db(onServers.db.databaseName) };
  await insertThings(pipeline, 1, 5);
  await runUntilEqual(pipeline);
  await insertThings(pipeline, 6, 6);
  await runUntilEqual(pipeline);
  return pipeline;
}

test("a MongoDB restored from an older backup is refused; with onHistoryLost: resnapshot it is copied again and swept", async () => {
  const pipeline = await pipelineWithHistory();
  const restore = await mongodb.backUp();
  await insertThings(pipeline, 7, 9);
  await thingsOf(pipeline).updateOne({ _id: 1 }, { $set: { n: 1 } });
  await thingsOf(pipeline).deleteOne({ _id: 2 });
  await runUntilEqual(pipeline);
  expect(await idsIn(pipeline)).toEqual([1, 3, 4, 5, 6, 7, 8, 9]);

  await restore();
  // What is written since then must not hide that the past is another one.
  await insertThings(pipeline, 10, 12);
  const { message } = await expectRefused(pipeline, ["run", "--once"], "HISTORY_LOST");
  expect(message).toContain("restored from an older backup");

  await runUntilEqual(await pipeline.reconfigured({ mongodb: { onHistoryLost: "resnapshot" } }));
  expect(await idsIn(pipeline)).toEqual([1, 2, 3, 4, 5, 6, 10, 11, 12]);
  await runUntilEqual(pipeline);
});

test("a MongoDB restored from a backup that has all that was published goes on", async () => {
  const pipeline = await pipelineWithHistory();
  const restore = await mongodb.backUp();
  // Of another database: the pipeline loses nothing.
  await mongodb.client.db("other").collection("others").insertOne({});
  await runUntilEqual(pipeline);
  await restore();
  await insertThings(pipeline, 7, 7);
  await runUntilEqual(pipeline);
  await expectEqual(pipeline);
});
