import { setTimeout as sleep } from "node:timers/promises";
import { escapeIdentifier } from "pg";
import type { PoolClient } from "pg";
import { between } from "../../../test/support/random.ts";
import type { Fault, TortureContext } from "../fault.ts";

/** What a backup has to hold together: rows and progress, else rows are missing or come back. */
interface Part {
  readonly table: string;
  readonly copy: string;
  /** Of a table that other pipelines share. */
  readonly filter: string;
}

const internalTables = {
  progress: "topic",
  tombstones: "relation",
  dead_letters: "topic",
  truncates: "relation",
  floors: "relation",
  columns: "relation",
} as const;

function partsOf({ tables, postgresUser: name }: TortureContext): Part[] {
  const prefixes = { topic: `${name}.`, relation: `"${name}".` } as const;
  const internal = Object.entries(internalTables).map(([table, column]) => ({
    table: `headrace.${table}`,
    copy: escapeIdentifier(`backup of ${table}`),
    filter: `starts_with(${column}, '${prefixes[column]}')`,
  }));
  // With the trail of what rows have shown: after a restore nobody has seen what came later.
  const own = [...tables.map((table) => table.name), "audit"].map((table) => ({
    table: escapeIdentifier(table),
    copy: escapeIdentifier(`backup of ${table}`),
    filter: "true",
  }));
  return [...internal, ...own];
}

async function inTransaction(context: TortureContext, work: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await context.postgres.connect();
  try {
    await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
    await work(client);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

/** Nobody writes meanwhile: all of it is of one time. In the order in which the sink takes its locks. */
async function lock(client: PoolClient, parts: readonly Part[]): Promise<void> {
  for (const { table } of parts) await client.query(`LOCK TABLE ${table} IN EXCLUSIVE MODE`);
}

async function backUp(context: TortureContext, parts: readonly Part[]): Promise<void> {
  await inTransaction(context, async (client) => {
    await lock(client, parts);
    for (const { table, copy, filter } of parts)
      await client.query(`CREATE TABLE ${copy} AS SELECT * FROM ${table} WHERE ${filter}`);
  });
}

async function restore(context: TortureContext, parts: readonly Part[]): Promise<void> {
  await inTransaction(context, async (client) => {
    await lock(client, parts);
    // The trail's triggers are not to see this.
    await client.query("SET LOCAL session_replication_role = replica");
    for (const { table, copy, filter } of parts) {
      await client.query(`DELETE FROM ${table} WHERE ${filter}`);
      await client.query(`INSERT INTO ${table} SELECT * FROM ${copy}`);
      await client.query(`DROP TABLE ${copy}`);
    }
  });
}

/** The progress is then behind what Kafka knows of the group. */
export const backupFault: Fault = {
  kind: "restore an older backup",
  touches: ["postgresUrl", "deadLetters"],
  inject: async (context, random) => {
    const parts = partsOf(context);
    await backUp(context, parts);
    await sleep(between(random, 2_000, 15_000));
    await restore(context, parts);
  },
};
