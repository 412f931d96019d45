import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { auditEntries } from "../support/audit-trail.ts";
import { faultyPipeline } from "./faulty-pipeline.ts";
import type { Proxies } from "./faulty-pipeline.ts";

const MINUTES = 60_000;

type Way = Proxies[keyof Proxies];

/** Duration of a disturbance: long enough to be noticed, shorter than a session timeout. */
const LASTING_MS = 3_000;

const disturbances: Readonly<Record<string, (way: Way) => Promise<void>>> = {
  "is slow": async (way) => {
    way.setLatencyMs(200);
    await sleep(LASTING_MS);
    way.setLatencyMs(0);
  },
  "is cut": async (way) => {
    way.cut();
    await sleep(LASTING_MS);
    way.restore();
  },
  "is cut repeatedly": async (way) => {
    for (let times = 0; times < 10; times++) {
      way.cut();
      await sleep(50);
      way.restore();
      await sleep(LASTING_MS / 10);
    }
  },
  "is half-open and recovers": async (way) => {
    way.pauseResponses();
    await sleep(LASTING_MS);
    way.resume();
  },
  "is half-open and breaks": async (way) => {
    way.pauseResponses();
    await sleep(LASTING_MS);
    way.cut();
    way.resume();
    way.restore();
  },
  "is a black hole": async (way) => {
    way.pauseRequests();
    way.pauseResponses();
    await sleep(LASTING_MS);
    way.cut();
    way.resume();
    way.restore();
  },
};

test.each(["mongodb", "kafka", "registry", "postgres"] as const)(
  "the pipeline survives every disturbance of the connection to %s",
  async (server) => {
    const { pool, proxies, through, whileWriting, expectEqual } = await faultyPipeline();
    const processes = ["produce", "consume"].map((command) => through.start(command));
    const unexpectedEnd = Promise.race(processes.map((each) => each.unexpectedEnd()));
    unexpectedEnd.catch(() => {});
    const goesOn = async (): Promise<void> => {
      const before = await auditEntries(pool);
      await expect.poll(() => auditEntries(pool), { timeout: 2 * MINUTES, interval: 100 }).toBeGreaterThan(before);
    };
    await whileWriting(async () => {
      await Promise.race([goesOn(), unexpectedEnd]);
      for (const [name, disturb] of Object.entries(disturbances)) {
        process.stderr.write(`the connection to ${server} ${name}\n`);
        await disturb(proxies[server]);
        await Promise.race([goesOn(), unexpectedEnd]);
      }
    });
    await expectEqual();
  },
  10 * MINUTES,
);
