import { Command } from "commander";
import type { Config } from "../../config/config-schema.ts";
import type { ConsumerObserver } from "../../consumers/ports.ts";
import { runConsumer } from "../../consumers/run-consumer.ts";
import { requireRights } from "../../operations/checks/kafka-rights.ts";
import { CONSUMER_SERVERS } from "../../operations/checks/run-checks.ts";
import { kafkaClient, postgresClient, schemaRegistry } from "../../operations/connections.ts";
import type { Context } from "../../operations/context.ts";
import { openPipelineReader } from "../../operations/pipeline-reader.ts";
import { wantedTables } from "../../operations/register/judged-tables.ts";
import { sendSignals } from "../../operations/send-signals.ts";
import { replicaOf } from "../../operations/tables.ts";
import type { PartitionOffset } from "../../schemas/partitions.ts";
import { topicOf } from "../../schemas/topics.ts";
import { onConfig } from "../command-context.ts";
import { traceSlowOption, withTraceSlow } from "../options.ts";
import { runService } from "../service.ts";

export function consumeCommand(): Command {
  const command = new Command("consume")
    .description(
      "Apply the records in Kafka to the tables in PostgreSQL. Up to kafka.partitions processes share the work.",
    )
    .addOption(traceSlowOption());
  return onConfig(command, "service", (context) =>
    runService(context, CONSUMER_SERVERS, (activity) =>
      consumeInto({ ...withTraceSlow(context, command), observer: activity.consumer }),
    ),
  );
}

interface ConsumingOptions extends Context {
  readonly observer: ConsumerObserver;
  /** The consumer ends once the stored progress has reached these offsets. */
  readonly until?: Promise<readonly PartitionOffset[]> | undefined;
}

/** Runs the consumer of a config. Resolves when it ends or when `signal` aborts. @throws HeadraceError */
export async function consumeInto({ config, observer, logger, signal, until }: ConsumingOptions): Promise<void> {
  const { name, mongodb, collections, batch, deadLetters, tombstones } = config;
  const kafka = await kafkaClient(config, logger);
  const postgres = postgresClient(config);
  const options = {
    name,
    kafka,
    sessionTimeoutMs: config.kafka.sessionTimeoutMs,
    postgres,
    registry: schemaRegistry(config),
    replicaOf: (topic: string) => replicaOf(config, topic),
    expectedTopics: [...(collections?.keys() ?? [])].map((collection) => topicOf(name, mongodb.database, collection)),
    limits: { maxRows: batch.rows, maxBytes: batch.bytes },
    deadLetterLimits: deadLetters.window,
    tombstoneRetentionMs: tombstones.retentionMs,
    requireRights: (topics: readonly string[]) => requireRights(kafka, config, { roles: ["consumer"], topics }),
    database: mongodb.database,
    startedAtMs: performance.timeOrigin,
    mapping: mappingText(config),
    wantedTables: (topics: readonly string[]) => wantedTables(config, topics),
    requestResync: (collection: string) => sendSignals(kafka, name, [{ type: "resync", collection }]),
    onRecordsLost: config.kafka.onHistoryLost,
    openProgress: () => openPipelineReader(config, logger, postgres),
    observer,
    traceSlowMs: config.log.traceSlowMs ?? null,
    logger,
  };
  try {
    await runConsumer(options, { signal, until });
  } finally {
    await postgres.close();
  }
}

/** Which collections go into which tables. The same for configs that list them in another order. */
function mappingText({ postgres, collections }: Config): string {
  const tables = [...(collections ?? [])].map(([collection, { table }]) => JSON.stringify([collection, table]));
  const others = collections?.others ?? null;
  const patterns = others && { include: others.include?.toSorted(), exclude: others.exclude?.toSorted() };
  return JSON.stringify([postgres.schema, ...tables.toSorted(), ...(patterns === null ? [] : [patterns])]);
}
