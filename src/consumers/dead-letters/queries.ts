import { parseDeadLetter } from "../../schemas/dead-letter.ts";
import type { DeadLetterInfo } from "../../schemas/dead-letter.ts";
import type { PartitionOffset } from "../../schemas/partitions.ts";
import { originKey } from "../ports.ts";
import type {
  DeadLetterOrigin,
  DeadLetterOutcome,
  DeadLetterOutcomes,
  DeadLetterReader,
  LogRecord,
  DeadLetterRange,
  TableName,
} from "../ports.ts";

/** One dead letter without its record. A record that fails again becomes a new dead letter of the same origin. */
export interface DeadLetter {
  /** `topic/partition/offset` of the origin. Users name the dead letter by it. */
  readonly id: string;
  /** Where the failed record is. A dead letter of the producer has no record: then where the document's first one is. */
  readonly origin: DeadLetterOrigin;
  /** The topic that the record came from or should go to. */
  readonly topic: string | null;
  /** Where it is in the dead-letter topic. */
  readonly place: PartitionOffset;
  readonly attempts: number;
  readonly failedAt: Date;
  /** The producer could not encode or send the document: there is only a key, with which to read it again. */
  readonly needsSnapshot: boolean;
  readonly info: DeadLetterInfo;
}

/** A dead letter matches where every given condition holds. */
export interface DeadLetterFilter {
  readonly ids?: readonly string[] | undefined;
  /** `table` or `schema.table`. */
  readonly table?: string | undefined;
  /** Headrace's code or a SQLSTATE. */
  readonly error?: string | undefined;
  /** When it failed: at `since` or later, and before `until`. */
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  /** As the `_id` column holds it. */
  readonly key?: string | undefined;
}

export interface DeadLetterSources {
  readonly reader: Pick<DeadLetterReader, "scan">;
  readonly outcomes: DeadLetterOutcomes;
  /** The key of a dead letter's document, as the `_id` column holds it; null where it cannot be decoded. */
  readonly keyOf: (record: LogRecord) => Promise<string | null>;
}

/**
 * The open dead letters that match, the newest of each origin, in the topic's order. Keeps their headers in memory, and
 * no records.
 */
export async function listDeadLetters(
  { reader, outcomes, keyOf }: DeadLetterSources,
  filter: DeadLetterFilter,
  range: DeadLetterRange,
): Promise<readonly DeadLetter[]> {
  const newest = new Map<string, { letter: DeadLetter; isWanted: boolean }>();
  await reader.scan(async (record) => {
    const letter = toDeadLetter(record);
    if (isOlder(letter, newest.get(letter.id)?.letter)) return;
    const isWanted = matches(letter, filter) && (filter.key === undefined || (await keyOf(record)) === filter.key);
    newest.delete(letter.id);
    newest.set(letter.id, { letter, isWanted });
  }, range);
  const wanted = [...newest.values()].filter(({ isWanted }) => isWanted).map(({ letter }) => letter);
  const closed = await outcomes.outcomesOf(wanted.map(({ origin }) => origin));
  return wanted.filter(({ id }) => !closed.has(id));
}

/** One dead letter with its record and its history. */
export interface DeadLetterDetails {
  readonly letter: DeadLetter;
  readonly record: LogRecord;
  /** All failures of the record, the newest last. */
  readonly history: readonly DeadLetter[];
  /** Null while it is open. */
  readonly outcome: DeadLetterOutcome | null;
}

/** @returns null if the topic does not have this dead letter, or no longer has it */
export async function showDeadLetter(
  { reader, outcomes }: Pick<DeadLetterSources, "reader" | "outcomes">,
  id: string,
  { signal }: { signal: AbortSignal },
): Promise<DeadLetterDetails | null> {
  const history: DeadLetter[] = [];
  let newest: { letter: DeadLetter; record: LogRecord } | undefined;
  await reader.scan(
    (record) => {
      const letter = toDeadLetter(record);
      if (letter.id !== id) return;
      history.push(letter);
      if (!isOlder(letter, newest?.letter)) newest = { letter, record };
    },
    { signal },
  );
  if (newest === undefined) return null;
  const closed = await outcomes.outcomesOf([newest.letter.origin]);
  return { ...newest, history, outcome: closed.get(id) ?? null };
}

/** Closes the open dead letters that match without applying them. @returns the closed ones */
export async function discardDeadLetters(
  sources: DeadLetterSources,
  tableOf: (topic: string) => TableName | undefined,
  filter: DeadLetterFilter,
  options: { signal: AbortSignal },
): Promise<readonly DeadLetter[]> {
  const letters = await listDeadLetters(sources, filter, options);
  for (const { origin, attempts, topic } of letters) {
    options.signal.throwIfAborted();
    const table = (topic === null ? undefined : tableOf(topic)) ?? null;
    await sources.outcomes.close(origin, attempts, "discarded", table);
  }
  return letters;
}

/** The consumer may write a dead letter again after a crash, behind a later attempt of a replay. */
function isOlder(letter: DeadLetter, known: DeadLetter | undefined): boolean {
  return known !== undefined && letter.attempts < known.attempts;
}

function toDeadLetter(record: LogRecord): DeadLetter {
  const { topic, partition, offset, value, headers, timestampMs } = record;
  const info = parseDeadLetter(headers);
  const place = { topic, partition, offset };
  const origin =
    info.topic === null || info.partition === null || info.offset === null
      ? { topic, partition, offset: info.firstOffset ?? offset }
      : { topic: info.topic, partition: info.partition, offset: info.offset };
  return {
    id: originKey(origin),
    origin,
    topic: info.topic,
    place,
    attempts: info.attempts ?? 1,
    failedAt: info.failedAt ?? new Date(timestampMs),
    needsSnapshot: value === null,
    info,
  };
}

function matches({ id, info, failedAt }: DeadLetter, { ids, table, error, since, until }: DeadLetterFilter): boolean {
  return (
    (ids === undefined || ids.includes(id)) &&
    (table === undefined || info.table === table || info.table?.split(".").at(-1) === table) &&
    (error === undefined || info.code === error || info.sqlstate === error) &&
    (since === undefined || failedAt >= since) &&
    (until === undefined || failedAt < until)
  );
}
