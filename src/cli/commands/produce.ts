import { Command } from "commander";
import { otherCollection, replicationOf, selectionOf } from "../../config/replication.ts";
import { PRODUCER_SERVERS } from "../../operations/checks/run-checks.ts";
import { kafkaClient, schemaRegistry } from "../../operations/connections.ts";
import type { Context } from "../../operations/context.ts";
import type { ProducerObserver } from "../../producers/ports.ts";
import { runProducer } from "../../producers/run-producer.ts";
import { onConfig } from "../command-context.ts";
import { traceSlowOption, withTraceSlow } from "../options.ts";
import { readPackage } from "../package-info.ts";
import { runService } from "../service.ts";

export function produceCommand(): Command {
  const command = new Command("produce")
    .description("Copy the collections from MongoDB to Kafka, then follow every change. Run one process per pipeline.")
    .addOption(traceSlowOption());
  return onConfig(command, "service", (context) =>
    runService(context, PRODUCER_SERVERS, (activity) =>
      produceFrom({ ...withTraceSlow(context, command), observer: activity.producer, once: false }),
    ),
  );
}

interface ProducingOptions extends Context {
  readonly observer: ProducerObserver;
  /** The producer ends once it has published everything that was in MongoDB at its start. */
  readonly once: boolean;
}

/** Runs the producer of a config. Resolves when it ends or when `signal` aborts. @throws HeadraceError */
export async function produceFrom({ config, observer, logger, signal, once }: ProducingOptions): Promise<void> {
  const { name, mongodb, kafka, snapshot, documents, deadLetters } = config;
  const options = {
    name,
    // Not Date.now(): a process that hangs during its start must still count as the older one.
    startedAtMs: performance.timeOrigin,
    headraceVersion: readPackage().version,
    mongodb,
    kafka: await kafkaClient(config, logger),
    registry: schemaRegistry(config),
    topics: {
      brokers: kafka.brokers,
      partitions: kafka.partitions,
      replicationFactor: kafka.replicationFactor,
      retentionMs: kafka.retentionMs,
      deadLetterRetentionMs: deadLetters.retentionMs,
    },
    collections: selectionOf(config),
    mappingOf: (collection: string) =>
      (replicationOf(config, collection) ?? otherCollection(config, collection)).mapping,
    snapshot,
    transactionIntervalMs: kafka.transactionIntervalMs,
    nulCharacters: documents.nulCharacters,
    deadLetterLimits: deadLetters.window,
    onDrop: mongodb.onDrop,
    onHistoryLost: mongodb.onHistoryLost,
    onRecordsLost: kafka.onHistoryLost,
    oplogReserve: mongodb.oplogReserve,
    traceSlowMs: config.log.traceSlowMs ?? null,
    once,
    observer,
    logger,
  };
  await runProducer(options, { signal });
}
