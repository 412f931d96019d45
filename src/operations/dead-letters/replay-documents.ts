import { signalIdOfDeadLetter } from "../../consumers/dead-letters/key.ts";
import { listDeadLetters } from "../../consumers/dead-letters/queries.ts";
import type { DeadLetter } from "../../consumers/dead-letters/queries.ts";
import type { LogRecord } from "../../consumers/ports.ts";
import type { SignalId, SnapshotSignal } from "../../schemas/signal.ts";
import { collectionOf } from "../../schemas/topics.ts";
import type { Context } from "../context.ts";
import type { DeadLetterAccess } from "../dead-letter-access.ts";
import { openPipelineReader } from "../pipeline-reader.ts";
import { isCarriedOut, send } from "../signals.ts";
import { tableOf } from "../tables.ts";

/** What became of dead letters that have only a key. */
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
  /** All its dead letters, the one with the most attempts first. */
  readonly letters: readonly [DeadLetter, ...DeadLetter[]];
}

/**
 * Lets the producer read documents again that it could not encode or send, and closes the dead letters of those that it now
 * can.
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

  /** Adds a dead letter that has only a key, for `run`. @throws HeadraceError of the registry */
  async add(letter: DeadLetter, record: LogRecord): Promise<void> {
    const { name, mongodb } = this.#context.config;
    const collection = collectionOf(name, mongodb.database, letter.topic ?? "");
    const id = await signalIdOfDeadLetter(this.#access.registry, record);
    if (collection === undefined || id === null) {
      this.#unaskable += 1;
      return;
    }
    const key = `${collection}\0${id}`;
    const known = this.#documents.get(key)?.letters ?? [];
    const [first = letter, ...others] = [...known, letter].toSorted((a, b) => b.attempts - a.attempts);
    this.#documents.set(key, { collection, id, letters: [first, ...others] });
  }

  /** Requests the documents, waits for the producer, and closes dead letters. @throws HeadraceError */
  async run(): Promise<SnapshotReplay> {
    const unaskable = this.#unaskable;
    const documents = [...this.#documents.values()];
    const letters = documents.flatMap((document) => document.letters);
    if (letters.length === 0) return { replayed: 0, failed: 0, needsSnapshot: 0, unaskable };
    const end = await this.#access.reader.end();
    if (!(await this.#readAgain(signalsFor(documents)))) {
      return { replayed: 0, failed: 0, needsSnapshot: letters.length, unaskable };
    }
    const failed = await this.#failedAgain(documents, end);
    for (const { letters: ofDocument } of documents) await this.#close(ofDocument, failed);
    return { replayed: letters.length - failed.size, failed: failed.size, needsSnapshot: 0, unaskable };
  }

  async #readAgain(signals: readonly SnapshotSignal[]): Promise<boolean> {
    const { config, logger, signal } = this.#context;
    const offset = await send(this.#context, signals);
    const reader = await openPipelineReader(config, logger);
    try {
      return await isCarriedOut(reader, { signals, offset, signal });
    } finally {
      await reader.close();
    }
  }

  /** The ids of the dead letters that the producer has written again. @param from where the topic ended before */
  async #failedAgain(documents: readonly RequestedDocument[], from: bigint): Promise<ReadonlySet<string>> {
    const ids = documents.map(({ letters: [first] }) => first.id);
    const again = await listDeadLetters(this.#access, { ids }, { signal: this.#context.signal, from });
    return new Set(again.map(({ id }) => id));
  }

  /** Of a document that failed again, one dead letter stays open. */
  async #close([first, ...others]: RequestedDocument["letters"], failed: ReadonlySet<string>): Promise<void> {
    const isReplayed = !failed.has(first.id);
    for (const { origin, attempts, topic } of isReplayed ? [first, ...others] : others) {
      const table = tableOf(this.#context.config, topic ?? "") ?? null;
      await this.#access.outcomes.close(origin, attempts + 1, isReplayed ? "replayed" : "superseded", table);
    }
  }
}

function signalsFor(documents: readonly RequestedDocument[]): readonly SnapshotSignal[] {
  const byCollection = Map.groupBy(documents, ({ collection }) => collection);
  return [...byCollection].flatMap(([collection, some]) =>
    Array.from({ length: Math.ceil(some.length / SIGNAL_IDS) }, (_, index): SnapshotSignal => {
      const ids = some.slice(index * SIGNAL_IDS, (index + 1) * SIGNAL_IDS).map(signalId);
      return { type: "snapshot", collection, ids };
    }),
  );
}

function signalId({ id, letters: [{ origin, attempts }] }: RequestedDocument): SignalId {
  return { id, deadLetter: { offset: origin.offset, attempts } };
}
