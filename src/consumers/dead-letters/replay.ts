import { isPoison } from "../../errors/error.ts";
import type { Logger } from "../../runtime/logger.ts";
import { decodeRecords } from "../batches/decode-records.ts";
import type { DecodeRecord } from "../batches/decode-records.ts";
import { createRetrier } from "../batches/failure-policy.ts";
import type { PatienceOptions } from "../batches/failure-policy.ts";
import { identityOf, originKey } from "../ports.ts";
import type { DeadLetterWriter, LogRecord, RecordFailure, ReplayOutcome, Sink } from "../ports.ts";
import { identityOfRecord } from "./letter.ts";
import type { DeadLetter } from "./letter.ts";
import { listDeadLetters } from "./queries.ts";
import type { DeadLetterFilter, DeadLetterSources } from "./queries.ts";

export interface ReplayOptions extends DeadLetterSources {
  readonly decode: DecodeRecord;
  readonly sink: Pick<Sink, "replay">;
  /** Null: a record that fails again stays the same dead letter. */
  readonly writer: DeadLetterWriter | null;
  readonly filter: DeadLetterFilter;
  /** Called with the topics of the dead letters before any is replayed: throws where their tables are not the pipeline's. */
  readonly admit?: (topics: ReadonlySet<string>) => Promise<void>;
  readonly patience: PatienceOptions;
  readonly logger: Logger;
  /** Called with each dead letter, its result and its record. The next dead letter waits for it. */
  readonly onResult?: (letter: DeadLetter, result: ReplayResult, record: LogRecord) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * replayed, superseded: closed. failed: written again with one more attempt. needsSnapshot: it has only a key, or
 * its document may have been deleted meanwhile; it stays open until the document was read again. unknownTopic: its topic has no table in the config; it stays open.
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
  const { reader, archive, filter, signal, onResult } = options;
  const counts = { replayed: 0, superseded: 0, failed: 0, needsSnapshot: 0, unknownTopic: 0 };
  const letters = await listDeadLetters(options, filter, { signal });
  if (letters.length === 0) return counts;
  await options.admit?.(new Set(letters.flatMap(({ topic }) => topic ?? [])));
  const gone = letters.filter(({ isGone }) => isGone);
  const present = letters.filter(({ isGone }) => !isGone);
  const replay = async (letter: DeadLetter | undefined, record: LogRecord): Promise<void> => {
    if (letter === undefined) return;
    const result = await replayOne(letter, record, options);
    counts[result] += 1;
    await onResult?.(letter, result, record);
  };
  // Their places may be of another incarnation of the dead-letter topic.
  const goneByIdentity = new Map(gone.map((letter) => [identityOf(letter.origin), letter]));
  for (const record of gone.length > 0 ? await archive.read() : [])
    await replay(goneByIdentity.get(identityOfRecord(record)), record);
  if (present.length === 0) return counts;
  const offsets = present.map(({ place }) => place.offset).sort((a, b) => (a < b ? -1 : 1));
  const range = { signal, from: offsets[0], to: (offsets.at(-1) ?? 0n) + 1n };
  const byPlace = new Map(present.map((letter) => [originKey(letter.place), letter]));
  await reader.scan((record) => replay(byPlace.get(originKey(record)), record), range);
  return counts;
}

async function replayOne(letter: DeadLetter, record: LogRecord, options: ReplayOptions): Promise<ReplayResult> {
  const { origin, topic } = letter;
  const { sink, writer, decode } = options;
  const table = topic === null ? undefined : options.tableOf(topic);
  if (table === undefined) return "unknownTopic";
  if (letter.needsSnapshot) return "needsSnapshot";
  const original: LogRecord = { ...record, topic: origin.topic, partition: origin.partition, offset: origin.offset };
  const { topicId } = origin;
  const attempts = letter.attempts + 1;
  const retrying = createRetrier(options, { ...origin, signal: options.signal });
  const failed = async (failure: RecordFailure): Promise<ReplayResult> => {
    if (writer !== null) await retrying(() => writer.write(original, { ...failure, table, topicId, attempts }));
    return "failed";
  };
  const [decoded] = await decodeRecords([original], decode, retrying);
  if (decoded === undefined) return "needsSnapshot";
  if ("failure" in decoded) return failed(decoded.failure);
  try {
    const result = await retrying(() => sink.replay(origin, attempts, table, decoded.change));
    return result === "outdated" ? "needsSnapshot" : result;
  } catch (error) {
    if (!isPoison(error)) throw error;
    return failed({ error, stage: "TASK_PUT" });
  }
}
