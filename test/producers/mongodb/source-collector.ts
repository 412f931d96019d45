// Reads a ChangeSource up to a condition, and computes the final state of its events.
import { BSON } from "mongodb";
import type { Db, Document, Timestamp } from "mongodb";
import { MongoSource } from "../../../src/producers/mongodb/source.ts";
import type { MongoSourceOptions } from "../../../src/producers/mongodb/source.ts";
import type { ChangeSource, SignalLog, SourceBatch } from "../../../src/producers/ports.ts";
import type { Logger } from "../../../src/runtime/logger.ts";
import type { ChangeEvent, Position, Version } from "../../../src/schemas/change-event.ts";
import { WHOLE_DATABASE } from "../../../src/schemas/collection-selection.ts";
import type { CollectionSelection } from "../../../src/schemas/collection-selection.ts";
import type { FilterOf } from "../../../src/schemas/filter.ts";
import { canonicalKey } from "../../../src/schemas/keys/document-key.ts";
import type { Signal } from "../../../src/schemas/signal.ts";

export type DocumentChange = Exclude<ChangeEvent, { op: "t" }>;

/** The batches from `from` on, until one satisfies `isLast` or the source ends. */
export async function collect(
  source: ChangeSource,
  from: Position | null,
  isLast: (batch: SourceBatch) => boolean | Promise<boolean> = () => false,
): Promise<SourceBatch[]> {
  const batches: SourceBatch[] = [];
  for await (const batch of source.read(from, { signal: AbortSignal.timeout(120_000) })) {
    batches.push(batch);
    if (await isLast(batch)) break;
  }
  return batches;
}

export function documentChanges(batches: readonly SourceBatch[]): DocumentChange[] {
  return batches.flatMap(({ events }) => events.filter((event): event is DocumentChange => event.op !== "t"));
}

/** `collection/key` of an event's document. */
export function keyOfChange({ collection, documentKey }: DocumentChange): string {
  return `${collection}/${canonicalKey("mixed", documentKey)}`;
}

/** The documents that a sink with the version guard ends with: canonical Extended JSON by key. */
export function finalState(changes: readonly DocumentChange[]): Map<string, string> {
  const newest = new Map<string, DocumentChange>();
  for (const change of changes) {
    const key = keyOfChange(change);
    if (change.version >= (newest.get(key)?.version ?? 0n)) newest.set(key, change);
  }
  const state = new Map<string, string>();
  for (const [key, { document }] of newest) if (document !== null) state.set(key, extendedJson(document));
  return state;
}

function extendedJson(document: Uint8Array): string {
  return BSON.EJSON.stringify(BSON.deserialize(document, { promoteValues: false }), { relaxed: false });
}

/** Canonical Extended JSON of a JavaScript object. */
export function extendedJsonOf(document: Document): string {
  return extendedJson(BSON.serialize(document));
}

/** The time of the last write. */
export async function clusterTimeOf(db: Db): Promise<Version> {
  const { operationTime } = (await db.command({ ping: 1 })) as { operationTime: Timestamp };
  return operationTime.toBigInt();
}

/** The content of the collections, in the form of `finalState`. */
export async function contentOf(
  db: Db,
  collections: readonly string[],
  filterOf: FilterOf = () => null,
): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for (const collection of collections) {
    for await (const document of db.collection(collection).find(filterOf(collection) ?? {}, { raw: true })) {
      const raw = document as unknown as Uint8Array;
      content.set(`${collection}/${canonicalKey("mixed", raw)}`, extendedJson(raw));
    }
  }
  return content;
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A document of any kind. */
export interface Item {
  _id: string | number;
  [field: string]: unknown;
}

/** A log of signals that may grow. */
export function signalsOf(signals: readonly (Signal | null)[]): SignalLog {
  return {
    open: async (start) => {
      let next = start;
      return {
        end: BigInt(signals.length),
        take: () => {
          const signal = signals[Number(next)];
          return signal === undefined ? null : { offset: next++, signal };
        },
        arrival: () => new Promise(() => {}),
        close: async () => {},
      };
    },
  };
}

/** Options of a source. `collections`: names, or null for the whole database. */
export type SourceOptions = Omit<Partial<MongoSourceOptions>, "collections"> & {
  readonly collections?: readonly string[] | CollectionSelection | null;
};

function selectionOf(collections: SourceOptions["collections"]): CollectionSelection {
  if (collections === null || collections === undefined) return WHOLE_DATABASE;
  return "named" in collections ? collections : { named: collections, others: null };
}

/** A source of a database that only this test writes to. */
export function sourceOf(db: Db, { collections, ...options }: SourceOptions = {}): MongoSource {
  return new MongoSource(db, {
    collections: selectionOf(collections),
    filterOf: () => null,
    claimName: () => null,
    snapshotMode: "initial",
    chunkDocuments: 3,
    onDrop: "apply",
    onHistoryLost: "fail",
    signals: signalsOf([]),
    observer: {},
    logger: silentLogger,
    ...options,
  });
}

/** Reads everything that the source has now. */
export async function catchUp(db: Db, from: Position | null, options: SourceOptions = {}): Promise<SourceBatch[]> {
  return await collect(sourceOf(db, { until: await clusterTimeOf(db), ...options }), from);
}

export function lastPosition(batches: readonly SourceBatch[]): Position {
  const position = batches.at(-1)?.position;
  if (position === undefined) throw new Error("there is no batch");
  return position;
}
