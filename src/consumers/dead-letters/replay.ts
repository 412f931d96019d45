import { isPoison } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import { decodeRecords } from "../batches/decode-records.ts";
import type { DecodeRecord } from "../batches/decode-records.ts";
import { createRetrier } from "../batches/failure-policy.ts";
import type { PatienceOptions } from "../batches/failure-policy.ts";
import { originKey } from "../ports.ts";
import type { DeadLetterWriter, LogRecord, RecordFailure, ReplayOutcome, Sink, TableName } from "../ports.ts";
import { listDeadLetters } from "./queries.ts";
import type { DeadLetter, DeadLetterFilter, DeadLetterSources } from "./queries.ts";

export interface ReplayOptions extends DeadLetterSources {
  readonly decode: DecodeRecord;
  readonly sink: Pick<Sink, "replay">;
  readonly writer: DeadLetterWriter;
  /** Undefined where the topic's collection is not replicated (any more). */
  readonly tableOf: (topic: string) => TableName | undefined;
  readonly filter: DeadLetterFilter;
  readonly patience: PatienceOptions;
  readonly logger: Logger;
  /** Told of each dead letter and its record as soon as it is known what became of it. */
  readonly onResult?: (letter: DeadLetter, result: ReplayResult, record: LogRecord) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * replayed, superseded: closed. failed: back in the DLQ with one attempt more. needsSnapshot: it holds only a key, and
 * stays open until a snapshot of that document. unknownTopic: its topic belongs to no table of the config; it stays open.
 */
type ReplayResult = ReplayOutcome | "failed" | "needsSnapshot" | "unknownTopic";

export type ReplayCounts = Readonly<Record<ReplayResult, number>>;

/**
 * Applies the open dead letters that match, up to the end that the DLQ has now. None can overwrite newer data: the
 * sink applies only what is strictly newer than what it knows of the key.
 * @throws HeadraceError
 */
export async function replayDeadLetters(options: ReplayOptions): Promise<ReplayCounts> {
  const { reader, filter, signal, onResult } = options;
  const counts = { replayed: 0, superseded: 0, failed: 0, needsSnapshot: 0, unknownTopic: 0 };
  const letters = await listDeadLetters(options, filter, { signal });
  // A second scan: the records of all of them at once could be larger than the memory.
  const byPlace = new Map(letters.map((letter) => [originKey(letter.place), letter]));
  if (byPlace.size === 0) return counts;
  await reader.scan(
    async (record) => {
      const letter = byPlace.get(originKey(record));
      if (letter === undefined) return;
      const result = await replayOne(letter, record, options);
      counts[result] += 1;
      await onResult?.(letter, result, record);
    },
    { signal },
  );
  return counts;
}

async function replayOne(letter: DeadLetter, record: LogRecord, options: ReplayOptions): Promise<ReplayResult> {
  const { origin, topic } = letter;
  const { sink, writer, decode } = options;
  const table = topic === null ? undefined : options.tableOf(topic);
  if (table === undefined) return "unknownTopic";
  if (letter.needsSnapshot) return "needsSnapshot";
  const original: LogRecord = { ...record, ...origin };
  const attempts = letter.attempts + 1;
  const retrying = createRetrier(options, { ...origin, signal: options.signal });
  const failed = async (failure: RecordFailure): Promise<ReplayResult> => {
    await retrying(() => writer.write(original, { ...failure, table, attempts }));
    return "failed";
  };
  const [decoded] = await decodeRecords([original], decode, retrying);
  if (decoded === undefined) return "needsSnapshot";
  if ("failure" in decoded) return failed(decoded.failure);
  try {
    return await retrying(() => sink.replay(origin, attempts, table, decoded.change));
  } catch (error) {
    if (!isPoison(error)) throw error;
    return failed({ error, stage: "TASK_PUT" });
  }
}
