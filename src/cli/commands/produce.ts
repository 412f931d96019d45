import { Command } from "commander";
import { kafkaClient, schemaRegistry } from "../../operations/connections.ts";
import type { Context } from "../../operations/context.ts";
import type { ProducerObserver } from "../../producers/ports.ts";
import { runProducer } from "../../producers/run-producer.ts";
import { onConfig } from "../command-context.ts";
import { readPackage } from "../package-info.ts";
import { runService } from "../service.ts";

export function produceCommand(): Command {
  const command = new Command("produce").description(
    "Copy the collections and follow their changes, from MongoDB into Kafka. One process of this per pipeline.",
  );
  return onConfig(command, "service", (context) =>
    runService(context, ["mongodb", "kafka", "schemaRegistry"], (activity) =>
      produceFrom({ ...context, observer: activity.producer, once: false }),
    ),
  );
}

interface ProducingOptions extends Context {
  readonly observer: ProducerObserver;
  /** Ends when what the source is at the start has been published. */
  readonly once: boolean;
}

/** Runs the producer of a config. Resolves at its end, or when `signal` aborts. */
export async function produceFrom({ config, observer, logger, signal, once }: ProducingOptions): Promise<void> {
  const { name, mongodb, kafka, collections, snapshot, documents } = config;
  const options = {
    name,
    // Not the time of now: a process may stand still in its start, and is the older one all the same.
    startedAtMs: performance.timeOrigin,
    headraceVersion: readPackage().version,
    mongodb,
    kafka: await kafkaClient(config, logger),
    registry: schemaRegistry(config),
    topics: {
      partitions: kafka.partitions,
      replicationFactor: kafka.replicationFactor,
      retentionMs: kafka.retentionMs,
    },
    collections: collections === undefined ? null : Object.values(collections).map(({ mapping }) => mapping),
    snapshot,
    nulCharacters: documents.nulCharacters,
    onDrop: mongodb.onDrop,
    onHistoryLost: mongodb.onHistoryLost,
    oplogReserve: mongodb.oplogReserve,
    once,
    observer,
    logger,
  };
  await runProducer(options, { signal });
}
