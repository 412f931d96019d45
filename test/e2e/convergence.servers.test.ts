import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { HeadraceProcess } from "../../dev/headrace-process.ts";
import { auditEntries, auditViolations, createAuditedTables } from "../support/audit-trail.ts";
import { columnsOf, mappingOf, rowOf } from "../support/model-tables.ts";
import { ModelWriter } from "../support/model-writer.ts";
import { freshPipeline, type Pipeline } from "../support/pipeline.ts";
import { printedSeed, seededRandom } from "../support/random.ts";
import type { Random } from "../support/random.ts";

const minutes = 60_000;

test(
  "the tables converge and no row steps back, although producer and consumer are killed repeatedly",
  async () => {
    const random = seededRandom(printedSeed());
    const pipeline = await freshPipeline({
      collections: { typed: mappingOf("typed"), plain: mappingOf("plain") },
    });
    await createAuditedTables(pipeline.pool, { typed: columnsOf("typed"), plain: columnsOf("plain") });
    const { client, db } = pipeline;
    const writer = new ModelWriter({ client, db, random, collections: ["typed", "plain"], keys: 40 });
    for (let turn = 0; turn < 300; turn++) await writer.step(); // for the snapshot

    await killWhileWriting(pipeline, writer, random);

    const verified = await pipeline.run("verify", "--json", "--wait", "120");
    expect(JSON.parse(verified.stdout), verified.stderr).toMatchObject({ equal: true });
    expect(await auditViolations(pipeline.pool, writer.history, rowOf)).toMatchObject({ violations: [] });
    await writer.close();
  },
  10 * minutes,
);

/**
 * Writes without pause while a random process is killed and restarted at random moments, until there were enough kills,
 * writes and applied changes.
 */
async function killWhileWriting(pipeline: Pipeline, writer: ModelWriter, random: Random): Promise<void> {
  let isEnough = false;
  const writing = (async () => {
    while (!isEnough) await writer.step();
  })();
  const commands = ["produce", "consume"];
  const processes: HeadraceProcess[] = commands.map((command) => pipeline.start(command));
  for (let kills = 0; !isEnough; kills++) {
    await sleep(random() * 8_000);
    const victim = random() < 0.5 ? 0 : 1;
    await processes[victim]?.kill();
    processes[victim] = pipeline.start(commands[victim] ?? "");
    isEnough = kills >= 10 && writer.operations >= 5_000 && (await auditEntries(pipeline.pool)) >= 500;
  }
  await writing;
}
