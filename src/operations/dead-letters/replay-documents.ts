import { signalIdOfDeadLetter } from "../../consumers/dead-letters/key.ts";
import type { DeadLetter } from "../../consumers/dead-letters/letter.ts";
import type { LogRecord } from "../../consumers/ports.ts";
import { parseDeadLetter } from "../../schemas/dead-letter.ts";
import type { SignalId, SnapshotSignal } from "../../schemas/signal.ts";
import { collectionOf, deadLetterTopic } from "../../schemas/topics.ts";
import type { Context } from "../context.ts";
import type { DeadLetterAccess } from "../dead-letter-access.ts";
import { sendAndCarryOut } from "../signals.ts";

/** What became of dead letters whose documents must be read again. */
export interface SnapshotReplay {
  readonly replayed: number;
  readonly failed: number;
  /** Still open: no producer is running that could read their documents. */
  readonly needsSnapshot: number;
  /** Still open: a signal cannot name their documents by `_id`. */
  readonly unaskable: number;
}

/** The maximum number of ids in one signal. */
const SIGNAL_IDS = 1_000;

interface RequestedDocument {
  readonly collection: string;
  readonly id: string;
  /** All its dead letters, those with the most attempts first. */
  readonly letters: readonly DeadLetter[];
}

/**
 * Lets the producer read documents again: those that it could not encode or send, and those whose records cannot be applied
 * any more. Closes the dead letters of those that it now can.
 */
export class SnapshotReplays {
  readonly #context: Context;
  readonly #access: DeadLetterAccess;
  readonly #documents = new Map<string, RequestedDocument>();
  #unaskable = 0;

  constructor(context: Context, access: DeadLetterAccess) {
    this.#context = context;
    this.#access = access;
  }

  /** Adds a dead letter whose document is to be read again by `run`. @throws HeadraceError of the registry */
  async add(letter: DeadLetter, record: LogRecord): Promise<void> {
    const document = await this.#documentOf(letter.topic, record);
    if (document === null) {
      this.#unaskable += 1;
      return;
    }
    const key = keyOf(document);
    const known = this.#documents.get(key)?.letters ?? [];
    const letters = [...known, letter].toSorted((a, b) => b.attempts - a.attempts);
    this.#documents.set(key, { ...document, letters });
  }

  /** Null if a signal cannot name it. */
  async #documentOf(
    topic: string | null,
    record: LogRecord,
  ): Promise<Pick<RequestedDocument, "collection" | "id"> | null> {
    const { name, mongodb } = this.#context.config;
    const collection = collectionOf(name, mongodb.database, topic ?? "");
    const id = await signalIdOfDeadLetter(this.#access.registry, record);
    return collection === undefined || id === null ? null : { collection, id };
  }

  /** Requests the documents, waits for the producer, and closes dead letters. @throws HeadraceError */
  async run(): Promise<SnapshotReplay> {
    const unaskable = this.#unaskable;
    const documents = [...this.#documents.values()];
    const letters = documents.flatMap((document) => document.letters);
    if (letters.length === 0) return { replayed: 0, failed: 0, needsSnapshot: 0, unaskable };
    const end = await this.#access.reader.end();
    const topicId = await this.#deadLetterTopicId();
    if (!(await sendAndCarryOut(this.#context, signalsFor(documents, topicId)))) {
      return { replayed: 0, failed: 0, needsSnapshot: letters.length, unaskable };
    }
    const failed = await this.#failedAgain(end);
    for (const document of documents) await this.#close(document.letters, failed.has(keyOf(document)), topicId);
    const failures = documents.filter((document) => failed.has(keyOf(document))).length;
    return { replayed: letters.length - failures, failed: failures, needsSnapshot: 0, unaskable };
  }

  async #deadLetterTopicId(): Promise<string | null> {
    const topic = deadLetterTopic(this.#context.config.name);
    return (await this.#access.presentTopicIds([topic])).get(topic) ?? null;
  }

  /** The documents that have become dead letters again. @param from where the topic ended before */
  async #failedAgain(from: bigint): Promise<ReadonlySet<string>> {
    const failed = new Set<string>();
    await this.#access.reader.scan(
      async (record) => {
        if (record.value !== null) return;
        const document = await this.#documentOf(parseDeadLetter(record.headers).topic, record);
        if (document !== null) failed.add(keyOf(document));
      },
      { signal: this.#context.signal, from },
    );
    return failed;
  }

  /** Of a document that failed again, one dead letter stays open: the producer's, or the new one. */
  async #close(letters: readonly DeadLetter[], hasFailed: boolean, topicId: string | null): Promise<void> {
    const renewed = hasFailed ? renewable(letters, topicId) : undefined;
    for (const letter of letters) {
      if (letter === renewed) continue;
      const { origin, attempts, topic } = letter;
      const table = this.#access.tableOf(topic ?? "") ?? null;
      await this.#access.outcomes.close(origin, attempts + 1, hasFailed ? "superseded" : "replayed", table);
    }
  }
}

function signalsFor(documents: readonly RequestedDocument[], topicId: string | null): readonly SnapshotSignal[] {
  const byCollection = Map.groupBy(documents, ({ collection }) => collection);
  return [...byCollection].flatMap(([collection, some]) =>
    Array.from({ length: Math.ceil(some.length / SIGNAL_IDS) }, (_, index): SnapshotSignal => {
      const ids = some.slice(index * SIGNAL_IDS, (index + 1) * SIGNAL_IDS).map((each) => signalId(each, topicId));
      return { type: "snapshot", collection, ids };
    }),
  );
}

function signalId({ id, letters }: RequestedDocument, topicId: string | null): SignalId {
  const letter = renewable(letters, topicId);
  return letter === undefined
    ? { id }
    : { id, deadLetter: { offset: letter.origin.offset, attempts: letter.attempts } };
}

/**
 * The dead letter of a document that the producer can write again, as the same one. That of a consumer is called by the
 * offset of its record; that of an earlier incarnation of the dead-letter topic would get the name of another one.
 * @param topicId of the dead-letter topic now
 */
function renewable(letters: readonly DeadLetter[], topicId: string | null): DeadLetter | undefined {
  return letters.find(({ origin, place }) => origin.topic === place.topic && (origin.topicId ?? null) === topicId);
}

function keyOf({ collection, id }: Pick<RequestedDocument, "collection" | "id">): string {
  return `${collection}\0${id}`;
}
