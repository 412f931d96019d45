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
  /** Undefined for a topic whose collection the pipeline does not replicate, or no longer. */
  readonly tableOf: (topic: string) => TableName | undefined;
  readonly filter: DeadLetterFilter;
  readonly patience: PatienceOptions;
  readonly logger: Logger;
  /** Called with each dead letter, its result and its record. The next dead letter waits for it. */
  readonly onResult?: (letter: DeadLetter, result: ReplayResult, record: LogRecord) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * replayed, superseded: closed. failed: written again with one more attempt. needsSnapshot: it has only a key, and stays
 * open until its document was read again. unknownTopic: its topic has no table in the config; it stays open.
 */
type ReplayResult = ReplayOutcome | "failed" | "needsSnapshot" | "unknownTopic";

export type ReplayCounts = Readonly<Record<ReplayResult, number>>;

/**
 * Applies the open dead letters that match, up to the present end of the topic. None can overwrite newer data: the sink
 * applies a record only where it is strictly newer than the stored state of its key. Scans the topic once for their
 * headers, then the part from the first match to the last one for their records: all records at once may not fit into
 * memory.
 * @throws HeadraceError
 */
export async function replayDeadLetters(options: ReplayOptions): Promise<ReplayCounts> {
  const { reader, filter, signal, onResult } = options;
  const counts = { replayed: 0, superseded: 0, failed: 0, needsSnapshot: 0, unknownTopic: 0 };
  const letters = await listDeadLetters(options, filter, { signal });
  if (letters.length === 0) return counts;
  const byPlace = new Map(letters.map((letter) => [originKey(letter.place), letter]));
  const offsets = letters.map(({ place }) => place.offset).sort((a, b) => (a < b ? -1 : 1));
  await reader.scan(
    async (record) => {
      const letter = byPlace.get(originKey(record));
      if (letter === undefined) return;
      const result = await replayOne(letter, record, options);
      counts[result] += 1;
      await onResult?.(letter, result, record);
    },
    { signal, from: offsets[0], to: (offsets.at(-1) ?? 0n) + 1n },
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
