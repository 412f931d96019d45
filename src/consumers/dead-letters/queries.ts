import { identityOf, originKey } from "../ports.ts";
import type {
  DeadLetterArchive,
  DeadLetterOrigin,
  DeadLetterOutcome,
  DeadLetterOutcomes,
  DeadLetterReader,
  KeptLetter,
  LogRecord,
  DeadLetterRange,
  TableName,
} from "../ports.ts";
import { identityOfRecord, isOlder, toDeadLetter } from "./letter.ts";
import type { DeadLetter, UnnamedLetter } from "./letter.ts";
import { namesOf, originKeyOf } from "./names.ts";
import type { PresentTopicIds } from "./names.ts";

/** A dead letter matches where every given condition holds. */
export interface DeadLetterFilter {
  readonly ids?: readonly string[] | undefined;
  /** The topic of a collection. */
  readonly topic?: string | undefined;
  /** `table` or `schema.table`. */
  readonly table?: string | undefined;
  /** Headrace's code or a SQLSTATE. */
  readonly error?: string | undefined;
  readonly sqlstates?: ReadonlySet<string> | undefined;
  /** When it failed: at `since` or later, and before `until`. */
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  /** As the `_id` column holds it; or the `unusableId` of the dead letter. */
  readonly key?: string | undefined;
}

export interface DeadLetterSources {
  readonly reader: Pick<DeadLetterReader, "scan">;
  readonly outcomes: DeadLetterOutcomes;
  readonly archive: Pick<DeadLetterArchive, "read">;
  /** The key of a dead letter's document, as the `_id` column holds it; null where it cannot be decoded. */
  readonly keyOf: (record: LogRecord) => Promise<string | null>;
  /** Undefined for a topic whose collection the pipeline does not replicate, or no longer. */
  readonly tableOf: (topic: string) => TableName | undefined;
  readonly presentTopicIds: PresentTopicIds;
}

type UnnamedSources = Omit<DeadLetterSources, "presentTopicIds">;

/** A dead letter with its document's key, as the `_id` column holds it; null where it cannot be decoded. */
export interface KeyedDeadLetter extends DeadLetter {
  readonly key: string | null;
}

/**
 * The open dead letters that match, the newest of each origin, in the topic's order. Keeps their headers in memory, and
 * no records.
 */
export async function listDeadLetters(
  sources: DeadLetterSources,
  filter: DeadLetterFilter,
  range: DeadLetterRange,
): Promise<readonly DeadLetter[]> {
  const { keyOf } = sources;
  const found = await listOpen(sources, range, async (letter, record) =>
    matches(letter, filter) && (filter.key === undefined || hasKey(letter, await keyOf(record), filter.key))
      ? letter
      : null,
  );
  return await named(found, filter, sources);
}

/** The same with their keys. */
export async function listKeyedDeadLetters(
  sources: DeadLetterSources,
  filter: DeadLetterFilter,
  range: DeadLetterRange,
): Promise<readonly KeyedDeadLetter[]> {
  const found = await listOpen(sources, range, async (letter, record) => {
    if (!matches(letter, filter)) return null;
    const key = await sources.keyOf(record);
    return filter.key === undefined || hasKey(letter, key, filter.key) ? { ...letter, key } : null;
  });
  return await named(found, filter, sources);
}

async function named<T extends UnnamedLetter>(
  { letters, origins }: OpenLetters<T>,
  { ids }: DeadLetterFilter,
  { presentTopicIds }: DeadLetterSources,
): Promise<readonly (T & Pick<DeadLetter, "id">)[]> {
  if (letters.length === 0) return [];
  const nameOf = await namesOf(origins, presentTopicIds);
  const all = letters.map((letter) => ({ ...letter, id: nameOf(letter.origin) }));
  return ids === undefined ? all : all.filter(({ id }) => ids.includes(id));
}

/** What the archive is to hold: the open dead letters; and those that it holds, but are closed. */
export async function listKeptLetters(
  sources: UnnamedSources,
  range: DeadLetterRange,
): Promise<{ readonly open: readonly KeptLetter[]; readonly closed: readonly string[] }> {
  const kept = await sources.archive.read();
  const { letters } = await listOpen(sources, range, (letter, record) => {
    const key = record.key === null ? null : Buffer.from(record.key);
    return Promise.resolve({ ...letter, record: { ...record, key, value: null } });
  });
  const ids = new Set(letters.map(({ origin }) => identityOf(origin)));
  return {
    open: letters
      .filter(({ isGone }) => !isGone)
      .map(({ origin, topic, place, record }) => ({ id: identityOf(origin), topic: topic ?? place.topic, record })),
    closed: kept.map(identityOfRecord).filter((id) => !ids.has(id)),
  };
}

interface OpenLetters<T extends UnnamedLetter> {
  readonly letters: readonly T[];
  /** Of all dead letters, also of closed ones and of those that are not wanted. */
  readonly origins: readonly DeadLetterOrigin[];
}

/** @param choose gives null for a dead letter that is not wanted */
async function listOpen<T extends UnnamedLetter>(
  { reader, outcomes, archive, tableOf }: UnnamedSources,
  range: DeadLetterRange,
  choose: (letter: UnnamedLetter, record: LogRecord) => Promise<T | null>,
): Promise<OpenLetters<T>> {
  const newest = new Map<string, { letter: UnnamedLetter; chosen: T | null }>();
  // Before the topic: what is archived later is not gone.
  const archived = await archive.read();
  await reader.scan(async (record) => {
    const letter = toDeadLetter(record, tableOf);
    const identity = identityOf(letter.origin);
    if (isOlder(letter, newest.get(identity)?.letter)) return;
    newest.delete(identity);
    newest.set(identity, { letter, chosen: await choose(letter, record) });
  }, range);
  const gone: T[] = [];
  const origins = [...newest.values()].map(({ letter }) => letter.origin);
  for (const record of archived) {
    const letter = { ...toDeadLetter(record, tableOf), isGone: true };
    origins.push(letter.origin);
    const chosen = newest.has(identityOf(letter.origin)) ? null : await choose(letter, record);
    if (chosen !== null) gone.push(chosen);
  }
  const wanted = [...gone, ...[...newest.values()].flatMap(({ chosen }) => (chosen === null ? [] : [chosen]))];
  const closed = await outcomes.outcomesOf(wanted.map(({ origin }) => origin));
  return { letters: wanted.filter(({ origin }) => !closed.has(identityOf(origin))), origins };
}

/** One dead letter with its record and its history. */
export interface DeadLetterDetails {
  readonly letter: DeadLetter;
  readonly record: LogRecord;
  /** All failures of the record, the newest last. */
  readonly history: readonly UnnamedLetter[];
  /** Null while it is open. */
  readonly outcome: DeadLetterOutcome | null;
}

/** @returns null if there is no such dead letter, or it is closed and Kafka no longer has it */
export async function showDeadLetter(
  { reader, outcomes, archive, tableOf, presentTopicIds }: Omit<DeadLetterSources, "keyOf">,
  id: string,
  { signal }: { signal: AbortSignal },
): Promise<DeadLetterDetails | null> {
  // Other incarnations of the topic have the same offset.
  const found = new Map<string, { newest: UnnamedLetter; record: LogRecord; history: UnnamedLetter[] }>();
  const note = (letter: UnnamedLetter, record: LogRecord): void => {
    if (originKey(letter.origin) !== originKeyOf(id)) return;
    const identity = identityOf(letter.origin);
    const known = found.get(identity);
    const latest = isOlder(letter, known?.newest) ? {} : { newest: letter, record };
    found.set(identity, { newest: letter, record, ...known, ...latest, history: [...(known?.history ?? []), letter] });
  };
  // Before the topic: what is archived later is not gone.
  const archived = await archive.read();
  await reader.scan((record) => note(toDeadLetter(record, tableOf), record), { signal });
  for (const record of archived) {
    const letter = { ...toDeadLetter(record, tableOf), isGone: true };
    if (!found.has(identityOf(letter.origin))) note(letter, record);
  }
  const all = [...found.values()];
  if (all.length === 0) return null;
  const nameOf = await namesOf(
    all.map(({ newest }) => newest.origin),
    presentTopicIds,
  );
  const wanted = all.find(({ newest }) => nameOf(newest.origin) === id);
  if (wanted === undefined) return null;
  const { newest, record, history } = wanted;
  const closed = await outcomes.outcomesOf([newest.origin]);
  return { letter: { ...newest, id }, record, history, outcome: closed.get(identityOf(newest.origin)) ?? null };
}

function hasKey({ info }: UnnamedLetter, key: string | null, wanted: string): boolean {
  return key === wanted || info.unusableId === wanted;
}

/** The tables of all dead letters, open or closed, as `schema.table`. */
export async function tablesOfDeadLetters(
  { reader, archive, tableOf }: Pick<DeadLetterSources, "reader" | "archive" | "tableOf">,
  range: DeadLetterRange,
): Promise<ReadonlySet<string>> {
  const tables = new Set<string>();
  const note = (record: LogRecord): void => {
    const { table } = toDeadLetter(record, tableOf);
    if (table !== null) tables.add(table);
  };
  for (const record of await archive.read()) note(record);
  await reader.scan(note, range);
  return tables;
}

/**
 * Whether a table is the one that a user names.
 * @param name `table` or `schema.table`
 */
export function hasTable(table: string, name: string): boolean {
  return table === name || table.endsWith(`.${name}`);
}

/** Closes the open dead letters that match without applying them. @returns the closed ones */
export async function discardDeadLetters(
  sources: DeadLetterSources,
  filter: DeadLetterFilter,
  options: { signal: AbortSignal },
): Promise<readonly DeadLetter[]> {
  const letters = await listDeadLetters(sources, filter, options);
  for (const { origin, attempts, topic } of letters) {
    options.signal.throwIfAborted();
    const table = (topic === null ? undefined : sources.tableOf(topic)) ?? null;
    await sources.outcomes.close(origin, attempts, "discarded", table);
  }
  return letters;
}

/** The ids are compared only roughly: the names are not known yet. */
function matches(
  letter: UnnamedLetter,
  { ids, topic, table, error, sqlstates, since, until }: DeadLetterFilter,
): boolean {
  const { origin, info, failedAt } = letter;
  return (
    (ids === undefined || ids.some((id) => originKeyOf(id) === originKey(origin))) &&
    (topic === undefined || letter.topic === topic) &&
    (table === undefined || (letter.table !== null && hasTable(letter.table, table))) &&
    (error === undefined || info.code === error || info.sqlstate === error) &&
    (sqlstates === undefined || sqlstates.has(info.sqlstate ?? "")) &&
    (since === undefined || failedAt >= since) &&
    (until === undefined || failedAt < until)
  );
}
