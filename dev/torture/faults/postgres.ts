import { setTimeout as sleep } from "node:timers/promises";
import { escapeIdentifier } from "pg";
import { between, pick } from "../../../test/support/random.ts";
import type { Random } from "../../../test/support/random.ts";
import type { Fault, TortureContext } from "../fault.ts";
import { backupFault } from "./backup.ts";
import { postgresErrorFaults, terminateBackends } from "./postgres-errors.ts";

/** Makes a random table refuse some records while `meanwhile` runs. */
async function withPoison(
  { postgres, tables }: TortureContext,
  random: Random,
  meanwhile: () => Promise<void>,
): Promise<void> {
  const { name, number } = pick(random, tables);
  const table = escapeIdentifier(name);
  const divisor = Math.floor(between(random, 3, 20));
  // NOT VALID leaves existing rows alone.
  await postgres.query(`ALTER TABLE ${table} ADD CONSTRAINT poison CHECK (${number} % ${divisor} <> 0) NOT VALID`);
  try {
    await meanwhile();
  } finally {
    await postgres.query(`ALTER TABLE ${table} DROP CONSTRAINT poison`);
  }
}

export const postgresFaults: readonly Fault[] = [
  ...postgresErrorFaults,
  backupFault,
  {
    kind: "terminate PostgreSQL backends",
    touches: ["postgresUrl"],
    inject: async ({ postgres, postgresUser }, random) => {
      for (let times = between(random, 1, 8); times > 0; times--) {
        await terminateBackends(postgres, postgresUser);
        await sleep(between(random, 50, 1_000));
      }
    },
  },
  {
    kind: "lock table",
    touches: ["postgresUrl"],
    inject: async ({ postgres, tables }, random) => {
      const client = await postgres.connect();
      try {
        await client.query("BEGIN");
        await client.query(`LOCK TABLE ${escapeIdentifier(pick(random, tables).name)} IN ACCESS EXCLUSIVE MODE`);
        await sleep(between(random, 1_000, 8_000));
      } finally {
        await client.query("ROLLBACK");
        client.release();
      }
    },
  },
  {
    kind: "poison, then replay",
    touches: ["deadLetters"],
    inject: async (context, random) => {
      await withPoison(context, random, () => sleep(between(random, 1_000, 5_000)));
      await context.run("dlq", "replay");
    },
  },
  {
    kind: "replay amid poison",
    touches: ["deadLetters"],
    inject: async (context, random) => {
      await withPoison(context, random, async () => {
        await sleep(between(random, 1_000, 3_000));
        await context.run("dlq", "replay");
      });
      await context.run("dlq", "replay");
    },
  },
];
