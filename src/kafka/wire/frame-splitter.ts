/** How to find the length of a frame. */
export interface FrameFormat {
  /** The number of bytes at its beginning that hold the length. */
  readonly headBytes: number;
  /** The length of the whole frame, from its first `headBytes` bytes. */
  readonly lengthOf: (head: Buffer) => number;
}

/** Splits a stream of bytes into frames. */
export class FrameSplitter {
  readonly #format: FrameFormat;
  #chunks: Buffer[] = [];
  #length = 0;

  constructor(format: FrameFormat) {
    this.#format = format;
  }

  /** Adds the next bytes. @returns the frames that they complete */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const frames: Buffer[] = [];
    for (;;) {
      const needed = this.#neededLength();
      if (this.#length < needed) return frames;
      const [first = Buffer.alloc(0), ...others] = this.#chunks;
      const bytes = others.length === 0 ? first : Buffer.concat(this.#chunks);
      this.#chunks = [bytes.subarray(needed)];
      this.#length -= needed;
      frames.push(bytes.subarray(0, needed));
    }
  }

  /** The length of the first frame; while its head is incomplete, the length of the head. */
  #neededLength(): number {
    const { headBytes, lengthOf } = this.#format;
    if (this.#length < headBytes) return headBytes;
    let [first = Buffer.alloc(0)] = this.#chunks;
    if (first.length < headBytes) this.#chunks = [(first = Buffer.concat(this.#chunks))];
    return lengthOf(first);
  }
}
