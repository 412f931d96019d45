import type { RepeatedDeadLetter, Version } from "../../schemas/change-event.ts";
import type { SnapshotSignal } from "../../schemas/signal.ts";

/** The documents of a signal's filter or ids. They are read beside the snapshot of their collection. */
export interface Selection {
  /** Offset of the signal in the signals topic. */
  readonly offset: bigint;
  readonly signal: SnapshotSignal;
}

export interface ChunkRequest {
  readonly collection: string;
  /** Null: the whole collection. */
  readonly selection: Selection | null;
  /** Where the chunk before ended: `RunningSnapshot.after` or, for a selection, `SignalsPosition.after`. */
  readonly after: string | null;
  /** A chunk that was read at an earlier time is discarded. */
  readonly notBefore: Version;
}

/** A range of a collection's keys, read at one cluster time. A read gives one chunk, or several parts of one range. */
export interface Chunk {
  readonly collection: string;
  /** That of the request. */
  readonly selection: Selection | null;
  /** Raw BSON; may be empty. */
  readonly documents: readonly Uint8Array[];
  /** `{_id}` of each requested id that has no document, in raw BSON. */
  readonly absent: readonly Uint8Array[];
  /** The dead letters that the signal repeats, by key. */
  readonly deadLetters: ReadonlyMap<string, RepeatedDeadLetter>;
  /** The cluster time of the read. */
  readonly version: Version;
  /** Where the next chunk begins, as `ChunkRequest.after`. */
  readonly after: string | null;
  /** Whether this is the last chunk of the collection or selection. */
  readonly isLast: boolean;
}

/** These fields of a chunk are empty unless it was read by ids. */
export const NOT_BY_ID: Pick<Chunk, "absent" | "deadLetters"> = { absent: [], deadLetters: new Map() };

/** Reads chunks in the background, one request at a time. */
export class ChunkReader {
  readonly #read: (request: ChunkRequest) => Promise<readonly Chunk[]>;
  #reply: Promise<readonly Chunk[]> | undefined;

  constructor(read: (request: ChunkRequest) => Promise<readonly Chunk[]>) {
    this.#read = read;
  }

  ask(request: ChunkRequest): void {
    this.#reply = this.#read(request);
    // reply() gives the error to its caller. Until then it must not end the process as an unhandled rejection.
    this.#reply.catch(() => {});
  }

  /** The chunks of the last request. */
  reply(): Promise<readonly Chunk[]> {
    return this.#reply ?? Promise.reject(new Error("reply() was called before ask()"));
  }

  /** Waits until a read in progress has ended. */
  async close(): Promise<void> {
    await this.#reply?.catch(() => {});
  }
}

export function documentsIn(chunks: readonly Chunk[]): number {
  return chunks.reduce((count, { documents }) => count + documents.length, 0);
}

export function bytesOf(chunks: readonly Chunk[]): number {
  return chunks.reduce((bytes, { documents }) => documents.reduce((sum, { byteLength }) => sum + byteLength, bytes), 0);
}
