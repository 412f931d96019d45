import { setTimeout as sleep } from "node:timers/promises";
import { escapeIdentifier, escapeLiteral } from "pg";
import type { Pool } from "pg";
import { between, pick } from "../../../test/support/random.ts";
import type { Random } from "../../../test/support/random.ts";
import type { Fault, TortureContext } from "../fault.ts";

/**
 * Serialization failure, deadlock, lock not available, query canceled, disk full, out of memory, too many connections,
 * cannot connect now.
 */
const PASSING_STATES = ["40001", "40P01", "55P03", "57014", "53100", "53200", "53300", "57P03"];

/** Triggers that fail at random: with the statement, or only at COMMIT. */
const triggers = {
  statements: "TRIGGER failing AFTER INSERT OR UPDATE OR DELETE ON $table FOR EACH STATEMENT",
  commits: "CONSTRAINT TRIGGER failing AFTER INSERT OR UPDATE ON $table DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
} as const;

async function failSometimes(
  { postgres, tables }: TortureContext,
  random: Random,
  what: keyof typeof triggers,
): Promise<void> {
  const table = escapeIdentifier(pick(random, tables).name);
  const sqlstate = pick(random, PASSING_STATES);
  await postgres.query(`CREATE OR REPLACE FUNCTION fail_sometimes() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF random() < 0.2 THEN RAISE EXCEPTION 'it passes' USING ERRCODE = TG_ARGV[0]; END IF;
      RETURN NULL;
    END $$`);
  const trigger = triggers[what].replace("$table", table);
  await postgres.query(`CREATE ${trigger} EXECUTE FUNCTION fail_sometimes(${escapeLiteral(sqlstate)})`);
  try {
    await sleep(between(random, 1_000, 6_000));
  } finally {
    await postgres.query(`DROP TRIGGER failing ON ${table}`);
  }
}

/** Ends the user's sessions, so that new sessions get the new settings of the user. */
export async function terminateBackends(postgres: Pool, user: string): Promise<void> {
  await postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", [user]);
}

/** Alters the user of Headrace's processes. */
async function alterUser({ postgres, postgresUser }: TortureContext, change: string): Promise<void> {
  await postgres.query(`ALTER ROLE ${escapeIdentifier(postgresUser)} ${change}`);
}

/** Locks the rows of a table until Headrace waits for them, and then requests what Headrace has locked. */
async function deadlock({ postgres, postgresUser, tables }: TortureContext, random: Random): Promise<void> {
  const table = escapeIdentifier(pick(random, tables).name);
  const client = await postgres.connect();
  try {
    await client.query("BEGIN; SET LOCAL lock_timeout = '10s'");
    await client.query(`SELECT 1 FROM ${table} FOR UPDATE`);
    for (let tries = 0; tries < 50 && !(await isWaitedFor(postgres, postgresUser)); tries++) await sleep(100);
    await client.query("SELECT 1 FROM headrace.progress WHERE starts_with(topic, $1) FOR UPDATE", [`${postgresUser}.`]);
  } catch (error) {
    // PostgreSQL may choose this session as the victim.
    const { code } = error as { code?: unknown };
    if (code !== "40P01" && code !== "55P03") throw error;
  } finally {
    await client.query("ROLLBACK");
    client.release();
  }
}

async function isWaitedFor(postgres: Pool, user: string): Promise<boolean> {
  const waiting = await postgres.query(
    "SELECT 1 FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'",
    [user],
  );
  return waiting.rows.length > 0;
}

export const postgresErrorFaults: readonly Fault[] = [
  {
    kind: "PostgreSQL fails statements",
    touches: ["postgresUrl"],
    inject: (context, random) => failSometimes(context, random, "statements"),
  },
  {
    kind: "PostgreSQL fails commits",
    touches: ["postgresUrl"],
    inject: (context, random) => failSometimes(context, random, "commits"),
  },
  { kind: "deadlock in PostgreSQL", touches: ["postgresUrl"], inject: deadlock },
  {
    kind: "PostgreSQL is read-only",
    touches: ["postgresUrl"],
    inject: async (context, random) => {
      await alterUser(context, "SET default_transaction_read_only = on");
      try {
        await terminateBackends(context.postgres, context.postgresUser);
        await sleep(between(random, 1_000, 8_000));
      } finally {
        // Sessions that started meanwhile keep the setting.
        await alterUser(context, "RESET default_transaction_read_only");
      }
    },
  },
  {
    kind: "PostgreSQL has too few connections",
    touches: ["postgresUrl"],
    inject: async (context, random) => {
      await alterUser(context, `CONNECTION LIMIT ${Math.floor(between(random, 0, 3))}`);
      try {
        await terminateBackends(context.postgres, context.postgresUser);
        await sleep(between(random, 1_000, 8_000));
      } finally {
        await alterUser(context, "CONNECTION LIMIT -1");
      }
    },
  },
];
