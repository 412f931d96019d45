import { setTimeout as sleep } from "node:timers/promises";
import { escapeIdentifier } from "pg";
import type { PoolClient } from "pg";
import { INTERNAL_TABLE_NAMES, internalTablesOf } from "../../../src/consumers/postgres/internal-tables.ts";
import { between } from "../../../test/support/random.ts";
import type { Fault, TortureContext } from "../fault.ts";

/** One table of the backup. Rows and progress belong together: otherwise rows would be missing or come back. */
interface Part {
  readonly table: string;
  readonly copy: string;
  /** Selects the rows of this pipeline: other pipelines share the table. */
  readonly filter: string;
}

function partsOf({ tables, postgresUser: name }: TortureContext): Part[] {
  const prefixes = { topic: `${name}.`, relation: `"${name}".` } as const;
  const byTopic = internalTablesOf("topic");
  const internal = INTERNAL_TABLE_NAMES.map((table) => {
    const column = byTopic.includes(table) ? "topic" : "relation";
    return {
      table: `headrace.${table}`,
      copy: escapeIdentifier(`backup of ${table}`),
      filter: `starts_with(${column}, '${prefixes[column]}')`,
    };
  });
  // The audit trail goes back too: after a restore, the states that came later were never shown.
  const own = [...tables.map((table) => table.name), "audit"].map((table) => ({
    table: escapeIdentifier(table),
    copy: escapeIdentifier(`backup of ${table}`),
    filter: "true",
  }));
  return [...internal, ...own];
}

const DEADLOCK = "40P01";

/** Tries again after a deadlock: the sink locks a table before the progress, or after it, and so no order of ours is safe. */
async function inTransaction(context: TortureContext, work: (client: PoolClient) => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await tryInTransaction(context, work);
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== DEADLOCK) throw error;
    }
  }
}

async function tryInTransaction(context: TortureContext, work: (client: PoolClient) => Promise<void>): Promise<void> {
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

/** Stops all writes, so that the backup is consistent. */
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
    // Keeps the triggers of the audit trail from firing.
    await client.query("SET LOCAL session_replication_role = replica");
    for (const { table, copy, filter } of parts) {
      await client.query(`DELETE FROM ${table} WHERE ${filter}`);
      await client.query(`INSERT INTO ${table} SELECT * FROM ${copy}`);
      await client.query(`DROP TABLE ${copy}`);
    }
  });
}

/** After it, the progress is behind the offsets that the group has committed to Kafka. */
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
