import { takesOthers } from "../../config/replication.ts";
import type { Context } from "../context.ts";
import { openPipelineReader } from "../pipeline-reader.ts";
import type { PipelineReader } from "../pipeline-reader.ts";
import type { JudgedTable } from "../register/judged-tables.ts";
import { runCheck } from "./check-result.ts";
import type { CheckResult, CheckWarning } from "./check-result.ts";
import type { KafkaRole } from "./kafka-rights.ts";

/**
 * Checks that Kafka has lost nothing that the pipeline goes on from: topics, records, requests. Each start finds that out by
 * itself. What the next start copies again is a warning.
 */
export async function checkLosses(context: Context, roles: readonly KafkaRole[]): Promise<readonly CheckResult[]> {
  const reader = await openPipelineReader(context.config, context.logger);
  try {
    // At once: each looks again for seconds where something seems to be lost.
    const [ofProducer, ofConsumer] = await Promise.all([
      roles.includes("producer") ? checkProducer(context, reader) : null,
      roles.includes("consumer") ? checkConsumer(reader) : [],
    ]);
    return [...(ofProducer === null ? [] : [ofProducer]), ...ofConsumer];
  } finally {
    await reader.close();
  }
}

function checkProducer(context: Context, reader: PipelineReader): Promise<CheckResult> {
  return runCheck("kafka", "has the topics and requests from which the producer goes on", async () => {
    const verdict = await reader.producer(await collectionsOf(context));
    if (verdict.kind === "refuse") throw verdict.error;
    return verdict.kind === "copy"
      ? {
          message: verdict.why,
          remedy: `kafka.onHistoryLost is resnapshot: the producer's next start ${verdict.what}.`,
        }
      : undefined;
  });
}

/** Where the config takes collections without naming them, those of the database. */
async function collectionsOf(context: Context): Promise<readonly string[] | undefined> {
  const { mongodb } = context.config;
  if (!takesOthers(context.config)) return undefined;
  const { replicatedCollections, withDatabase } = await import("../source-database.ts");
  return await withDatabase(mongodb, (db) => replicatedCollections(context, db));
}

/** One result if no table lacks records, otherwise one for each that does. */
async function checkConsumer(reader: PipelineReader): Promise<readonly CheckResult[]> {
  const what = "has every record that Kafka no longer has";
  let lost: readonly JudgedTable[] = [];
  const looked = await runCheck("postgres", what, async () => {
    lost = (await reader.tables()).filter(({ isLoss }) => isLoss);
  });
  if (lost.length === 0) return [looked];
  return await Promise.all(lost.map((table) => runCheck("postgres", what, async () => lossOf(table))));
}

function lossOf({ decision, wanted: { collection } }: JudgedTable): CheckWarning | undefined {
  if (decision.kind === "refuse") throw decision.error;
  if (decision.kind !== "copy" && decision.kind !== "reread" && decision.kind !== "wait") return undefined;
  const remedy = `kafka.onHistoryLost is resnapshot: after the next start, the collection ${JSON.stringify(collection)} is copied again.`;
  return { message: `${decision.why}.`, remedy };
}
