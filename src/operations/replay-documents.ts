import { signalIdOfDeadLetter } from "../consumers/dead-letters/key.ts";
import { listDeadLetters } from "../consumers/dead-letters/queries.ts";
import type { DeadLetter } from "../consumers/dead-letters/queries.ts";
import type { LogRecord } from "../consumers/ports.ts";
import type { SignalId, SnapshotSignal } from "../schemas/signal.ts";
import { collectionOf } from "../schemas/topics.ts";
import type { Context } from "./context.ts";
import type { DeadLetterAccess } from "./dead-letter-access.ts";
import { openPipelineReader } from "./pipeline-reader.ts";
import { isCarriedOut, send } from "./signals.ts";
import { tableOf } from "./tables.ts";

/** What became of dead letters that hold only a key. */
export interface SnapshotReplay {
  readonly replayed: number;
  readonly failed: number;
  /** Still open: no producer runs that could read their documents. */
  readonly needsSnapshot: number;
  /** Still open: their documents cannot be asked for by `_id`. */
  readonly unaskable: number;
}

/** Most ids of one signal. */
const SIGNAL_IDS = 1_000;

interface AskedDocument {
  readonly collection: string;
  readonly id: string;
  /** All dead letters of it, that which was tried the most often first. */
  readonly letters: readonly [DeadLetter, ...DeadLetter[]];
}

/** Has the producer read documents again that it could not encode or send, and closes the dead letters of those that it can now. */
export class SnapshotReplays {
  readonly #context: Context;
  readonly #access: DeadLetterAccess;
  readonly #documents = new Map<string, AskedDocument>();
  #unaskable = 0;

  constructor(context: Context, access: DeadLetterAccess) {
    this.#context = context;
    this.#access = access;
  }

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

  /** @throws HeadraceError */
  async run(): Promise<SnapshotReplay> {
    const unaskable = this.#unaskable;
    const documents = [...this.#documents.values()];
    const letters = documents.flatMap((document) => document.letters);
    if (letters.length === 0) return { replayed: 0, failed: 0, needsSnapshot: 0, unaskable };
    if (!(await this.#readAgain(signalsFor(documents)))) {
      return { replayed: 0, failed: 0, needsSnapshot: letters.length, unaskable };
    }
    const failed = await this.#failedAgain(documents);
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

  /** The ids of the dead letters that have come back. */
  async #failedAgain(documents: readonly AskedDocument[]): Promise<ReadonlySet<string>> {
    const asked = new Map(documents.map(({ letters: [first] }) => [first.id, first.attempts]));
    const open = await listDeadLetters(this.#access, { ids: [...asked.keys()] }, this.#context);
    return new Set(open.filter(({ id, attempts }) => attempts > (asked.get(id) ?? 0)).map(({ id }) => id));
  }

  /** One stands for the document if it still fails. */
  async #close([first, ...others]: AskedDocument["letters"], failed: ReadonlySet<string>): Promise<void> {
    const isMended = !failed.has(first.id);
    for (const { origin, attempts, topic } of isMended ? [first, ...others] : others) {
      const table = tableOf(this.#context.config, topic ?? "") ?? null;
      await this.#access.outcomes.close(origin, attempts + 1, isMended ? "replayed" : "superseded", table);
    }
  }
}

function signalsFor(documents: readonly AskedDocument[]): readonly SnapshotSignal[] {
  const byCollection = Map.groupBy(documents, ({ collection }) => collection);
  return [...byCollection].flatMap(([collection, some]) =>
    Array.from({ length: Math.ceil(some.length / SIGNAL_IDS) }, (_, index): SnapshotSignal => {
      const ids = some.slice(index * SIGNAL_IDS, (index + 1) * SIGNAL_IDS).map(signalId);
      return { type: "snapshot", collection, ids };
    }),
  );
}

function signalId({ id, letters: [{ origin, attempts }] }: AskedDocument): SignalId {
  return { id, deadLetter: { offset: origin.offset, attempts } };
}
