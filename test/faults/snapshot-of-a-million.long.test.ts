import { setTimeout as sleep } from "node:timers/promises";
import type { Db } from "mongodb";
import { expect, test } from "vitest";
import { topicOf } from "../../src/schemas/topics.ts";
import { freshPipeline } from "../support/pipeline.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import type { Random } from "../support/random.ts";
import { killAt } from "./kill-at.ts";

interface Item {
  _id: number;
  n: number;
  text?: string;
}

const DOCUMENTS = 1_000_000;
const KILLS = 10;
const MINUTES = 60_000;

test(
  "a snapshot of a million documents that is killed ten times reads at most 10 % twice and has all changes",
  async () => {
    const random = seededRandom(printedSeed());
    const pipeline = await freshPipeline({ collections: { items: {} } });
    const { db, name } = pipeline;
    await insertMany(db);
    await profileSnapshot(db);
    const changes = changeUntil(db, random);
    // One kill at random in each tenth. Each kill loses the chunks that were read ahead.
    const counts = Array.from({ length: KILLS }, (_, kill) => ((kill + random()) / KILLS) * 0.95 * DOCUMENTS);
    await killAt(pipeline, topicOf(name, db.databaseName, "items"), counts);
    pipeline.start("run");
    const changed = await changes.end();
    const { exitCode, stdout, stderr } = await pipeline.run("verify", "--wait", "600");
    expect(exitCode, stdout + stderr).toBe(0);

    const { read, reads } = await documentsRead(db);
    process.stderr.write(`${read} documents in ${reads} reads; ${changed} changes meanwhile\n${stdout}\n`);
    expect(read).toBeGreaterThanOrEqual(DOCUMENTS * 0.99);
    expect(read).toBeLessThanOrEqual(DOCUMENTS * 1.1);
    expect(changed).toBeGreaterThan(1_000);
  },
  30 * MINUTES,
);

async function insertMany(db: Db): Promise<void> {
  const step = 20_000;
  for (let from = 0; from < DOCUMENTS; from += step) {
    const documents = Array.from({ length: step }, (_, n): Item => ({ _id: from + n, n: 0, text: `text ${n}` }));
    await db.collection<Item>("items").insertMany(documents, { ordered: false });
  }
}

/** Makes MongoDB's profiler record every read with a hint, which is how snapshots read. */
async function profileSnapshot(db: Db): Promise<void> {
  await db.createCollection("system.profile", { capped: true, size: 256 * 1024 * 1024 });
  await db.command({ profile: 2, filter: { ns: `${db.databaseName}.items`, "command.hint": { $exists: true } } });
}

async function documentsRead(db: Db): Promise<{ read: number; reads: number }> {
  await db.command({ profile: 0 });
  const pipeline = [
    { $match: { appName: "headrace", "command.readConcern.level": "snapshot" } },
    { $group: { _id: null, read: { $sum: "$nreturned" }, reads: { $sum: 1 } } },
  ];
  const [found] = await db.collection("system.profile").aggregate<{ read: number; reads: number }>(pipeline).toArray();
  return found ?? { read: 0, reads: 0 };
}

/** Random changes in the whole collection, one after the other. */
function changeUntil(db: Db, random: Random): { end: () => Promise<number> } {
  const items = db.collection<Item>("items");
  let isEnding = false;
  const changing = (async () => {
    let changes = 0;
    for (; !isEnding; changes++) {
      const _id = Math.floor(random() * DOCUMENTS * 1.01);
      if (random() < 0.1) await items.deleteOne({ _id });
      else await items.updateOne({ _id }, { $inc: { n: 1 }, $set: { text: `changed ${changes}` } }, { upsert: true });
      await sleep(5);
    }
    return changes;
  })();
  return {
    end: () => {
      isEnding = true;
      return changing;
    },
  };
}
