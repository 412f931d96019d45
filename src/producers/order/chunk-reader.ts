import type { Chunk, ChunkRequest } from "./timeline.ts";

/** Reads chunks beside other work. */
export class SnapshotReader {
  readonly #read: (request: ChunkRequest) => Promise<readonly Chunk[]>;
  #reply: Promise<readonly Chunk[]> | undefined;

  constructor(read: (request: ChunkRequest) => Promise<readonly Chunk[]>) {
    this.#read = read;
  }

  ask(request: ChunkRequest): void {
    this.#reply = this.#read(request);
    // Whoever awaits it gets the error; a rejection that nobody awaits yet must not end the process.
    this.#reply.catch(() => {});
  }

  /** The answer to the last request. */
  reply(): Promise<readonly Chunk[]> {
    return this.#reply ?? Promise.reject(new Error("no chunks were asked for"));
  }

  /** Waits for a read that is under way. */
  async close(): Promise<void> {
    await this.#reply?.catch(() => {});
  }
}
