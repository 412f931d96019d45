/*
 * A chunk read at time T is published once the stream has reached T, and by then the stream may be beyond T. So the
 * keys of the stream's events are remembered while chunks are being read or held, and a chunk is published without the
 * documents that Kafka already has in a newer version. Pure, as `timeline.ts`.
 */
import { latest } from "../../schemas/change-event.ts";
import type { ChangeEvent, DocumentEvent, Version } from "../../schemas/change-event.ts";
import type { Chunk, ChunkRequest } from "./chunk-reader.ts";
import type { KeyOf } from "./plan-images.ts";

/** The chunks that are not published yet, and the keys that are remembered for them. */
export interface ChunksInWork {
  /** The request that is being read. */
  readonly asked: ChunkRequest | null;
  /** Chunks that were read and are not published yet, in the order of their requests. */
  readonly held: readonly Chunk[];
  /** The keys of the stream's events while a chunk was asked for or held, oldest first. */
  readonly remembered: readonly StreamKeys[];
}

/** The keys of one step of the stream. */
export interface StreamKeys {
  /** The newest version among their events. */
  readonly version: Version;
  /** By `collection\0key`: the newest version that Kafka has of it. */
  readonly keys: ReadonlyMap<string, Version>;
  /** About how much memory they take. */
  readonly bytes: number;
}

/** About what a key takes in memory besides its text. */
const KEY_BYTES = 100;

/** Adds the keys of the stream's events, if a chunk is asked for or held. */
export function remember<T extends ChunksInWork>(work: T, events: readonly ChangeEvent[], keyOf: KeyOf): T {
  const { asked, held, remembered } = work;
  if (asked === null && held.length === 0) return work;
  const keys = new Map<string, Version>();
  let bytes = 0;
  let version = remembered.at(-1)?.version ?? 0n;
  for (const event of events) {
    if (event.op === "t") continue;
    const key = `${event.collection}\0${keyOf(event.documentKey)}`;
    if (!keys.has(key)) bytes += key.length + KEY_BYTES;
    keys.set(key, event.version);
    version = latest(version, event.version);
  }
  return keys.size === 0 ? work : forget({ ...work, remembered: [...remembered, { version, keys, bytes }] });
}

/** Drops the keys that are older than every chunk asked for or held. */
export function forget<T extends ChunksInWork>(work: T): T {
  const { asked, held, remembered } = work;
  const times = [...held.map(({ version }) => version), ...(asked === null ? [] : [asked.notBefore])];
  return { ...work, remembered: remembered.filter(({ version }) => times.some((time) => version > time)) };
}

/** Drops the held chunks when they need too many keys. They are read again later. */
export function giveUp<T extends ChunksInWork>(work: T): T {
  const { asked, remembered } = work;
  const newest = remembered.at(-1)?.version ?? 0n;
  return forget({ ...work, held: [], asked: asked && { ...asked, notBefore: latest(asked.notBefore, newest) } });
}

export function rememberedBytes({ remembered }: ChunksInWork): number {
  return remembered.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * The chunk's events, except for keys that had a newer version in the stream. A key whose event is not newer than the
 * chunk is published again: a sweep deletes every row that is older than the first chunk.
 */
export function eventsOf(
  { collection, selection, documents, absent, deadLetters, version }: Chunk,
  remembered: readonly StreamKeys[],
  keyOf: KeyOf,
): readonly DocumentEvent[] {
  const newer = remembered.filter((keys) => keys.version > version);
  const snapshot = selection === null ? undefined : ("incremental" as const);
  const events: DocumentEvent[] = [
    ...documents.map((document) => ({
      op: "r" as const,
      collection,
      documentKey: document,
      document,
      version,
      snapshot,
    })),
    ...absent.map((documentKey) => ({ op: "d" as const, collection, documentKey, document: null, version })),
  ];
  if (newer.length === 0 && deadLetters.size === 0) return events;
  return events.flatMap((event) => {
    const key = keyOf(event.documentKey);
    if (newer.some(({ keys }) => (keys.get(`${collection}\0${key}`) ?? version) > version)) return [];
    return [{ ...event, deadLetter: deadLetters.get(key) }];
  });
}
