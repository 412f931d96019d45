/** Where a frame says how long it is. */
export interface FrameFormat {
  /** How many of its first bytes tell the length. */
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

  /** Takes the next bytes and gives the frames that are complete now. */
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

  /** Bytes up to the end of the frame that has begun; those of its head while even that is not known. */
  #neededLength(): number {
    const { headBytes, lengthOf } = this.#format;
    if (this.#length < headBytes) return headBytes;
    let [first = Buffer.alloc(0)] = this.#chunks;
    if (first.length < headBytes) this.#chunks = [(first = Buffer.concat(this.#chunks))];
    return lengthOf(first);
  }
}
