/** Less than a reply of MongoDB may have (16 MB), which costs memory. See docs/performance.md. */
const CHUNK_BYTES = 8 * 1024 * 1024;

/** How many documents to request for a chunk: fewer if the last ones were large. */
export class ChunkSize {
  readonly #mostDocuments: number;
  #documents: number;

  constructor(mostDocuments: number) {
    this.#mostDocuments = mostDocuments;
    this.#documents = mostDocuments;
  }

  get documents(): number {
    return this.#documents;
  }

  /** Learns from a read. */
  read(documents: number, bytes: number): void {
    if (bytes === 0) return;
    const fitting = Math.floor((CHUNK_BYTES / bytes) * documents);
    this.#documents = Math.min(this.#mostDocuments, Math.max(1, fitting));
  }
}
