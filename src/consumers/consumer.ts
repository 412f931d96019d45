import { DeadLetterWindow } from "../runtime/dead-letter-window.ts";
import type { DeadLetterLimits } from "../runtime/dead-letter-window.ts";
import { pause, untilAborted } from "../runtime/waiting.ts";
import type { PartitionOffset, TopicPartition } from "../schemas/partitions.ts";
import type { Change } from "../schemas/row-schema.ts";
import { bisect } from "./batches/bisect.ts";
import { cutBatch } from "./batches/cut-batch.ts";
import type { MicroBatchLimits } from "./batches/cut-batch.ts";
import { decodeRecords } from "./batches/decode-records.ts";
import type { DecodeRecord } from "./batches/decode-records.ts";
import { createRetrier } from "./batches/failure-policy.ts";
import type { PatienceOptions } from "./batches/failure-policy.ts";
import { replaceLost } from "./batches/lost-records.ts";
import type { LostRecordsOptions } from "./batches/lost-records.ts";
import { reachTarget } from "./batches/progress.ts";
import type {
  ApplyOutcome,
  ConsumerObserver,
  DeadLetterWriter,
  FailedRecord,
  FetchedBatch,
  LogStretch,
  LostRecords,
  RecordLog,
  TableAdmission,
} from "./ports.ts";

export interface ConsumerLoop extends LostRecordsOptions {
  readonly admission: TableAdmission;
  readonly log: RecordLog;
  readonly deadLetters: DeadLetterWriter;
  readonly decode: DecodeRecord;
  readonly limits: MicroBatchLimits;
  readonly deadLetterLimits: DeadLetterLimits;
  readonly patience: PatienceOptions;
  readonly observer: ConsumerObserver;
}

/**
 * Applies the topics' records to the tables, until `signal` aborts or the stored progress has reached `until`.
 * @throws HeadraceError, or the error of a bug; nothing is committed that was not applied
 */
export async function consume(
  loop: ConsumerLoop,
  { signal, until }: { signal: AbortSignal; until?: Promise<readonly PartitionOffset[]> | undefined },
): Promise<void> {
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const window = new DeadLetterWindow(loop.deadLetterLimits, "records could not be applied");
  const startOffsets = (partitions: readonly TopicPartition[], within: AbortSignal) =>
    createRetrier(loop, { signal: within })(() => loop.sink.readProgress(partitions));
  const admit = (topics: readonly string[], within: AbortSignal) =>
    createRetrier(loop, { signal: within })(() => loop.admission.admit(topics));
  const topicIds = new Map<string, string | null>();
  const topicsFound = (topics: ReadonlyMap<string, string | null>, within: AbortSignal) => {
    for (const [topic, id] of topics) topicIds.set(topic, id);
    return admit([...topics.keys()], within);
  };
  const recordsLost = (lost: readonly LostRecords[], within: AbortSignal) =>
    replaceLost(lost, loop, createRetrier(loop, { signal: within }));
  const eachBatch = (batch: FetchedBatch) =>
    consumeBatch(batch, { window, topicId: topicIds.get(batch.topic) ?? null }, loop);

  const parts = [
    loop.log.run({ topicsFound, startOffsets, recordsLost, eachBatch }, { signal: either }),
    keepAdmitted(loop, either),
  ];
  if (until !== undefined) {
    const progress = {
      admit: (topics: readonly string[]) => admit(topics, either),
      read: (ends: readonly TopicPartition[]) => startOffsets(ends, either),
    };
    parts.push(reachTarget(until, progress, either));
  }
  const results = await Promise.allSettled(parts.map((part) => part.finally(() => ended.abort())));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** How often the tables are compared again. A table that changes while records come is noticed at once. */
const ADMISSION_MS = 10_000;

function keepAdmitted(loop: ConsumerLoop, signal: AbortSignal): Promise<void> {
  return untilAborted(signal, async () => {
    for (;;) {
      await pause(ADMISSION_MS, signal);
      await createRetrier(loop, { signal })(() => loop.admission.again());
    }
  });
}

/** Applies the fetched records of one partition, micro-batch by micro-batch, each in one transaction with the progress. */
async function consumeBatch(
  batch: FetchedBatch,
  { window, topicId }: { readonly window: DeadLetterWindow; readonly topicId: string | null },
  loop: ConsumerLoop,
): Promise<void> {
  const { topic, partition } = batch;
  const { sink, deadLetters, decode, logger, observer } = loop;
  const table = loop.tableOf(topic);
  let expectedOffset = batch.startOffset;
  for (const slice of cutBatch(batch.records, batch.nextOffset, loop.limits)) {
    const beganAt = performance.now();
    const retrying = createRetrier(loop, batch);
    const moveTo = async (nextOffset: bigint, move: (stretch: LogStretch) => Promise<ApplyOutcome>) => {
      const outcome = await retrying(() => move({ topic, partition, table, expectedOffset, nextOffset }));
      if (outcome === "applied") expectedOffset = nextOffset;
      return outcome;
    };
    const apply = async (changes: readonly Change[], nextOffset: bigint) => {
      const outcome = await moveTo(nextOffset, (stretch) => sink.apply({ ...stretch, changes }));
      if (outcome === "applied") window.succeeded(changes.length);
      return outcome;
    };
    const deadLetter = async ({ record, change, failure }: FailedRecord, nextOffset: bigint) => {
      window.deadLetter(failure.error);
      await retrying(() => deadLetters.write(record, { ...failure, table, topicId, attempts: 1 }));
      observer.deadLettered(record, failure.error);
      return await moveTo(nextOffset, (stretch) => sink.skip(stretch, change));
    };
    const records = await decodeRecords(slice.records, decode, retrying);
    const decodedAt = performance.now();
    if ((await bisect(records, slice.nextOffset, { apply, deadLetter })) === "fenced") {
      logger.info({ topic, partition, expectedOffset }, "the stored offset moved unexpectedly; reading it again");
      return;
    }
    batch.commit(slice.nextOffset);
    observer.applied(batch, records.length, slice.nextOffset);
    observer.timed?.(batch, records, { beganAt, decodedAt, endedAt: performance.now() });
  }
}
