import { Command } from "commander";
import type { ConsumerObserver } from "../../consumers/ports.ts";
import { runConsumer } from "../../consumers/run-consumer.ts";
import { kafkaClient, postgresClient, schemaRegistry } from "../../operations/connections.ts";
import type { Context } from "../../operations/context.ts";
import { openPipelineReader } from "../../operations/pipeline-reader.ts";
import { sendSignals } from "../../operations/send-signals.ts";
import { replicaOf } from "../../operations/tables.ts";
import type { PartitionOffset } from "../../schemas/partitions.ts";
import { topicOf } from "../../schemas/topics.ts";
import { onConfig } from "../command-context.ts";
import { runService } from "../service.ts";

export function consumeCommand(): Command {
  const command = new Command("consume").description(
    "Apply the records in Kafka to the tables in PostgreSQL. Up to kafka.partitions processes share the work.",
  );
  return onConfig(command, "service", (context) =>
    runService(context, ["kafka", "schemaRegistry", "postgres"], (activity) =>
      consumeInto({ ...context, observer: activity.consumer }),
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
    expectedTopics: Object.keys(collections ?? {}).map((collection) => topicOf(name, mongodb.database, collection)),
    limits: { maxRows: batch.rows, maxBytes: batch.bytes },
    deadLetterLimits: { maxDeadLetters: deadLetters.window.max, windowRecords: deadLetters.window.records },
    tombstoneRetentionMs: tombstones.retentionMs,
    requestResync:
      config.kafka.onHistoryLost === "fail"
        ? null
        : async (collection: string) => void (await sendSignals(kafka, name, [{ type: "resync", collection }])),
    openProgress: () => openPipelineReader(config, logger, postgres),
    observer,
    logger,
  };
  try {
    await runConsumer(options, { signal, until });
  } finally {
    await postgres.close();
  }
}
