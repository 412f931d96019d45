import { setTimeout as sleep } from "node:timers/promises";
import type { Demo } from "./demo.ts";
import { say, showLive } from "./output.ts";
import type { SampleCounts } from "./sample-data.ts";

const pollMs = 200;

/** How the initial copy went. */
export interface Copied {
  readonly rows: number;
  /** From the start of the snapshot until the last row was seen in PostgreSQL. */
  readonly durationMs: number;
}

/** Starts producer and consumer and follows the rows until all of them are in PostgreSQL. */
export async function copySnapshot(demo: Demo, counts: SampleCounts): Promise<Copied> {
  const expected = Object.values(counts).reduce((sum, count) => sum + count, 0);
  say("Starting headrace produce and headrace consume …");
  for (const each of demo.processes) each.start();
  const startedAtMs = await demo.processes[0].logged("snapshot started");
  return await followRows(demo, { expected, startedAtMs });
}

/** Shows the rows arriving in PostgreSQL until all of them are there. */
export async function followRows(
  demo: Pick<Demo, "target" | "name">,
  { expected, startedAtMs }: { readonly expected: number; readonly startedAtMs: number },
): Promise<Copied> {
  let rows = 0;
  while (rows < expected) {
    await sleep(pollMs);
    rows = await countRows(demo);
    const seconds = (Date.now() - startedAtMs) / 1000;
    showLive(
      `  ${rows.toLocaleString("en")} of ${expected.toLocaleString("en")} rows · ${perSecond(rows, seconds)} rows/s · ` +
        `${(expected - rows).toLocaleString("en")} behind`,
    );
  }
  const durationMs = Date.now() - startedAtMs;
  say(
    `  ${rows.toLocaleString("en")} rows in ${(durationMs / 1000).toFixed(1)} s: ${perSecond(rows, durationMs / 1000)} rows/s`,
  );
  return { rows, durationMs };
}

function perSecond(rows: number, seconds: number): string {
  return Math.round(rows / seconds).toLocaleString("en");
}

/** Number of rows in all tables that exist so far. */
export async function countRows({ target, name }: Pick<Demo, "target" | "name">): Promise<number> {
  const tables = await target.query<{ table_name: string }>(
    "SELECT table_name FROM information_schema.tables WHERE table_schema = $1",
    [name],
  );
  let rows = 0;
  for (const { table_name: table } of tables.rows) {
    const result = await target.query<{ count: string }>(`SELECT count(*) FROM "${name}"."${table}"`);
    rows += Number(result.rows[0]?.count);
  }
  return rows;
}
