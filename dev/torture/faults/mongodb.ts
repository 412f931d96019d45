import { setTimeout as sleep } from "node:timers/promises";
import type { Document, MongoClient } from "mongodb";
import { between, pick } from "../../../test/support/random.ts";
import type { Fault } from "../fault.ts";

/** Fails commands of Headrace's clients only. */
async function failCommands(client: MongoClient, times: number, data: Document): Promise<void> {
  await client.db("admin").command({
    configureFailPoint: "failCommand",
    mode: { times },
    data: { appName: "headrace", ...data },
  });
}

async function healCommands(client: MongoClient): Promise<void> {
  await client.db("admin").command({ configureFailPoint: "failCommand", mode: "off" });
}

/** CursorNotFound, CursorKilled, InterruptedDueToReplStateChange, ShutdownInProgress, ExceededTimeLimit. */
const PASSING_CODES = [43, 237, 11602, 91, 262];
const SNAPSHOT_GONE_CODES = [239, 246];

function failPoint(kind: string, commands: readonly string[], errorCodes: readonly number[] | null): Fault {
  return {
    kind,
    touches: ["mongodbUri"],
    inject: async ({ mongodb }, random) => {
      const how = errorCodes === null ? { closeConnection: true } : { errorCode: pick(random, errorCodes) };
      const data = { failCommands: [pick(random, commands)], ...how };
      try {
        await failCommands(mongodb, Math.ceil(between(random, 0, 15)), data);
        await sleep(between(random, 1_000, 5_000));
      } finally {
        await healCommands(mongodb);
      }
    },
  };
}

export const mongodbFaults: readonly Fault[] = [
  failPoint("MongoDB closes connections", ["getMore", "find", "aggregate"], null),
  failPoint("MongoDB fails commands", ["getMore", "find", "aggregate", "hello"], PASSING_CODES),
  failPoint("MongoDB has dropped its snapshots", ["find"], SNAPSHOT_GONE_CODES),
  {
    kind: "primary steps down",
    touches: ["mongodbUri"],
    // Without a pause, the writer would not know which of its writes were applied, and when.
    inject: ({ mongodb, writing }, random) =>
      writing.paused(async () => {
        const admin = mongodb.db("admin");
        const seconds = Math.ceil(between(random, 1, 5));
        await admin.command({ replSetStepDown: seconds, secondaryCatchUpPeriodSecs: 0, force: true });
        while (!(await isPrimary(mongodb))) await sleep(100);
      }),
  },
];

async function isPrimary(client: MongoClient): Promise<boolean> {
  const { isWritablePrimary } = await client.db("admin").command({ hello: 1 }, { readPreference: "primaryPreferred" });
  return isWritablePrimary === true;
}
