import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { HeadraceProcess } from "../../dev/headrace-process.ts";
import { auditViolations, createAuditedTables } from "../support/audit-trail.ts";
import { ModelWriter, printedSeed, seededRandom, type Fields, type Random } from "../support/model-writer.ts";
import { freshPipeline, type Pipeline } from "../support/pipeline.ts";

const minutes = 60_000;

test(
  "random writes end in equality and no row ever steps back, however often producer and consumer are killed",
  async () => {
    const random = seededRandom(printedSeed());
    const pipeline = await freshPipeline({
      collections: {
        typed: { columns: { n: "bigint", text: "text", a: { path: "nested.a", type: "integer" } } },
        plain: {},
      },
    });
    await createAuditedTables(pipeline.pool, {
      typed: "n bigint, text text, a integer, _extra jsonb",
      plain: "doc jsonb",
    });
    const { client, db } = pipeline;
    const writer = new ModelWriter({ client, db, random, collections: ["typed", "plain"], keys: 40 });
    for (let turn = 0; turn < 300; turn++) await writer.step(); // something for the snapshot

    const writing = writeOperations(writer, 6_000);
    const kills = await killUntil(writing, pipeline, random);

    const verified = await pipeline.run("verify", "--json", "--wait", "120");
    expect(JSON.parse(verified.stdout), verified.stderr).toMatchObject({ equal: true });
    const { entries, violations } = await auditViolations(pipeline.pool, writer, expectedRow);
    expect(violations).toEqual([]);
    expect(entries).toBeGreaterThan(500);
    expect(kills).toBeGreaterThanOrEqual(8);
    await writer.close();
  },
  10 * minutes,
);

async function writeOperations(writer: ModelWriter, operations: number): Promise<void> {
  while (writer.operations < operations) await writer.step();
}

/** Kills one of the two processes at random moments and starts it again, at least until `writing` is done. */
async function killUntil(writing: Promise<void>, pipeline: Pipeline, random: Random): Promise<number> {
  let written = false;
  void writing.then(() => (written = true));
  const commands = ["produce", "consume"];
  const processes: HeadraceProcess[] = commands.map((command) => pipeline.start(command));
  let kills = 0;
  while (!written || kills < 8) {
    await sleep(500 + random() * 4_000);
    const victim = random() < 0.5 ? 0 : 1;
    await processes[victim]?.kill();
    processes[victim] = pipeline.start(commands[victim] ?? "");
    kills++;
  }
  await writing;
  return kills;
}

function expectedRow(table: string, key: string, fields: Fields): Record<string, unknown> {
  if (table === "plain") return { doc: { _id: key, ...fields } };
  const { n, text = null, nested, ...rest } = fields;
  const { a = null, b } = (nested ?? {}) as { a?: number; b?: string };
  const extra = { ...rest, ...(b === undefined ? {} : { nested: { b } }) };
  return { n, text, a, _extra: Object.keys(extra).length === 0 ? null : extra };
}
