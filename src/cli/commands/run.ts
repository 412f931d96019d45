import { Command } from "commander";
import { fetchEndOffsets, listTopics } from "../../kafka/topics.ts";
import { ALL_SERVERS } from "../../operations/checks/run-checks.ts";
import { kafkaClient } from "../../operations/connections.ts";
import { openPipelineReader } from "../../operations/pipeline-reader.ts";
import { tableOf } from "../../operations/tables.ts";
import { START_PATIENCE, logRetries, retry } from "../../runtime/retry.ts";
import type { PartitionOffset } from "../../schemas/partitions.ts";
import { onConfig } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { traceSlowOption, withTraceSlow } from "../options.ts";
import type { Activity } from "../output/activity.ts";
import { runService } from "../service.ts";
import { consumeInto } from "./consume.ts";
import { produceFrom } from "./produce.ts";

export function runCommand(): Command {
  const command = new Command("run")
    .description("Produce and consume in one process: copy the collections, then follow every change.")
    .option("--once", "copy everything up to the time of the start, then exit")
    .addOption(traceSlowOption());
  return onConfig(command, "service", (given) => {
    const context = withTraceSlow(given, command);
    const { once } = command.opts<{ once?: true }>();
    return runService(context, ALL_SERVERS, (activity) =>
      once === true ? runUntilCopied(context, activity) : runBoth(context, activity, false),
    );
  });
}

/**
 * Runs once, and again while the consumer has asked for the copy of a collection that the producer has not carried out:
 * it may have ended before the request came.
 */
async function runUntilCopied(context: CommandContext, activity: Activity): Promise<void> {
  do await runBoth(context, activity, true);
  while (!context.signal.aborted && (await isCopyOwed(context)));
}

function isCopyOwed(context: CommandContext): Promise<boolean> {
  const { logger, signal } = context;
  const onRetry = logRetries(logger, "looking for copies that are owed");
  return retry(() => findCopyOwed(context), { ...START_PATIENCE, signal, onRetry });
}

async function findCopyOwed({ config, logger }: CommandContext): Promise<boolean> {
  const reader = await openPipelineReader(config, logger);
  try {
    const [tables, position] = await Promise.all([reader.tables(), reader.position()]);
    const done = position?.signals.offset ?? 0n;
    return tables.some(({ copySignal }) => copySignal !== null && copySignal >= done);
  } finally {
    await reader.close();
  }
}

/**
 * With `--once` and in snapshot mode `only` the producer ends by itself. Then the consumer applies everything up to the
 * topics' ends, and ends too. If one of them fails, the other one finishes its work in progress, and the error is thrown.
 */
async function runBoth(context: CommandContext, activity: Activity, once: boolean): Promise<void> {
  const failure = new AbortController();
  const signal = AbortSignal.any([context.signal, failure.signal]);
  const ends = Promise.withResolvers<readonly PartitionOffset[]>();
  const produce = async (): Promise<void> => {
    await produceFrom({ ...context, signal, once, observer: activity.producer });
    if (!signal.aborted) ends.resolve(await endsNow(context));
  };
  const consume = () => consumeInto({ ...context, signal, until: ends.promise, observer: activity.consumer });
  const results = await Promise.allSettled(
    [produce, consume].map((part) =>
      part().catch((error: unknown) => {
        failure.abort(error);
        throw error;
      }),
    ),
  );
  if (failure.signal.aborted) throw failure.signal.reason;
  if (results.some(({ status }) => status === "rejected")) throw new Error("a part failed without a reason");
}

async function endsNow({ config, logger }: CommandContext): Promise<readonly PartitionOffset[]> {
  const kafka = await kafkaClient(config, logger);
  return fetchEndOffsets(kafka, await listTopics(kafka, (topic) => tableOf(config, topic) !== undefined));
}
