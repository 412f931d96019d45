// The life of a pipeline: what it belongs to is deleted, renamed or given to another one, and comes back.
import { escapeIdentifier } from "pg";
import { deleteTopics } from "../../../src/kafka/admin.ts";
import { positionsTopic, topicOf } from "../../../src/schemas/topics.ts";
import { ADDED_COLUMN } from "../../../test/support/audit-trail.ts";
import { mappingOf } from "../../../test/support/model-tables.ts";
import { pick } from "../../../test/support/random.ts";
import type { Fault, Part, TortureConfig, TortureContext } from "../fault.ts";
import type { Command } from "../fleet.ts";
import { renamed } from "../pipeline.ts";

/** Nothing else may be disturbed meanwhile: each of these faults waits until everything is complete. */
const EVERYTHING: readonly Part[] = [
  "producer",
  "consumer",
  "deadLetters",
  "mongodbUri",
  "kafkaBrokers",
  "schemaRegistryUrl",
  "postgresUrl",
];
const COMMANDS: readonly Command[] = ["produce", "consume"];
const COMPLETE_SECONDS = 180;
const NOTICE_MS = 120_000;

async function whileStopped({ fleet }: TortureContext, work: () => Promise<void>): Promise<void> {
  for (const command of COMMANDS) await fleet.stop(fleet.main(command));
  await work();
  for (const command of COMMANDS) fleet.replace(command);
}

/** Waits until `headrace status` says that all tables have what is in MongoDB now. */
async function untilComplete(context: TortureContext): Promise<void> {
  await runs(context, "status", "--wait-for", "now", "--timeout", String(COMPLETE_SECONDS));
}

async function runs({ run }: TortureContext, ...args: string[]): Promise<void> {
  const { exitCode, stdout, stderr } = await run(...args);
  if (exitCode !== 0) throw new Error(`headrace ${args.join(" ")} ended with ${exitCode}: ${stdout}${stderr}`);
}

/** Runs the pipeline with another config until everything is complete, and then with its own again. */
async function withConfig(
  context: TortureContext,
  change: (first: TortureConfig) => object,
  begin: () => Promise<void> = async () => {},
): Promise<void> {
  await whileStopped(context, async () => {
    await context.configure(change);
    await begin();
  });
  await untilComplete(context);
  await whileStopped(context, () => context.configure());
  await untilComplete(context);
}

const withResnapshot = (first: TortureConfig): object => ({
  ...first,
  kafka: { ...first.kafka, onHistoryLost: "resnapshot" },
});

function withMapping(collection: string, change: object | null) {
  return (first: TortureConfig): object => {
    const { [collection]: mapping, ...others } = first.collections;
    return { ...first, collections: change === null ? others : { ...others, [collection]: { ...mapping, ...change } } };
  };
}

function onTable(kind: string, inject: (context: TortureContext, table: string) => Promise<void>): Fault {
  return {
    kind,
    touches: EVERYTHING,
    inject: (context, random) => inject(context, pick(random, context.tables).name),
  };
}

/** Renames the pipeline, which takes its tables over. */
async function takeOver(context: TortureContext, name: string): Promise<void> {
  await whileStopped(context, async () => {
    await context.configure((first) => ({ ...first, name }));
    await runs(context, "take-over", "--all", "--yes");
  });
  await untilComplete(context);
}

export const lifeFaults: readonly Fault[] = [
  onTable("topic deleted", (context, collection) => {
    const { kafka, postgresUser: name } = context;
    return withConfig(context, withResnapshot, () => deleteTopics(kafka, [topicOf(name, name, collection)]));
  }),
  onTable("positions deleted", async (context) => {
    await whileStopped(context, () => deleteTopics(context.kafka, [positionsTopic(context.postgresUser)]));
    await untilComplete(context);
  }),
  onTable("collection in another table for a while", (context, collection) =>
    withConfig(context, withMapping(collection, { table: `${collection}_moved` })),
  ),
  onTable("collection taken out and put back", async (context, collection) => {
    await withConfig(context, withMapping(collection, null));
  }),
  {
    kind: "another mapping for a while",
    touches: EVERYTHING,
    inject: (context, random) => {
      const collection = pick(random, ["typed", "typed_hot"]);
      const columns = { ...mappingOf(collection).columns, [ADDED_COLUMN]: { path: "never", type: "text" } };
      return withConfig(context, withMapping(collection, { columns }));
    },
  },
  onTable("table truncated", async (context, table) => {
    await context.postgres.query(`TRUNCATE ${escapeIdentifier(table)}`);
    await untilComplete(context);
  }),
  onTable("table renamed, and back", async (context, table) => {
    const { fleet, postgres } = context;
    const rename = (from: string, to: string) =>
      postgres.query(`ALTER TABLE ${escapeIdentifier(from)} RENAME TO ${escapeIdentifier(to)}`);
    const consumer = fleet.main("consume");
    consumer.expected = "TABLE_DROPPED";
    await rename(table, `${table}_away`);
    await fleet.endOf(consumer, NOTICE_MS);
    await rename(`${table}_away`, table);
    await untilComplete(context);
  }),
  onTable("pipeline renamed, and back", async (context) => {
    await takeOver(context, renamed(context.postgresUser));
    await takeOver(context, context.postgresUser);
  }),
  onTable("second owner", async (context) => {
    await context.configure((first) => ({ ...first, name: renamed(context.postgresUser) }));
    const { exitCode, stdout, stderr } = await context.run("consume");
    await context.configure();
    if (exitCode !== 1 || !`${stdout}${stderr}`.includes("TABLE_OF_OTHER_PIPELINE")) {
      throw new Error(`A second owner was not refused: it ended with ${exitCode}: ${stdout}${stderr}`);
    }
  }),
];
