/** Splits a stream of bytes into Kafka's frames: a size (int32, big-endian) and that many bytes. */
export class FrameSplitter {
  #chunks: Buffer[] = [];
  #length = 0;

  /** Takes the next bytes and gives the frames that are complete now, each with its size in front. */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const frames: Buffer[] = [];
    for (;;) {
      const needed = this.#neededLength();
      if (this.#length < needed) return frames;
      const bytes = Buffer.concat(this.#chunks);
      this.#chunks = [bytes.subarray(needed)];
      this.#length -= needed;
      frames.push(bytes.subarray(0, needed));
    }
  }

  /** Bytes up to the end of the frame that has begun; four, its size's own, while even that is not known. */
  #neededLength(): number {
    if (this.#length < 4) return 4;
    if ((this.#chunks[0]?.length ?? 0) < 4) this.#chunks = [Buffer.concat(this.#chunks)];
    return 4 + (this.#chunks[0]?.readInt32BE(0) ?? 0);
  }
}

/** The head of a request frame. */
export function requestHead(frame: Buffer): { readonly apiKey: number; readonly correlationId: number } {
  return { apiKey: frame.readInt16BE(4), correlationId: frame.readInt32BE(8) };
}

/** The correlation id of a response frame. */
export function responseCorrelationId(frame: Buffer): number {
  return frame.readInt32BE(4);
}

/**
 * Replaces, in place, the port wherever an address stands in a response: its host as text, then its port (int32).
 * No size changes. A topic's name cannot look like that, having no zero bytes. Returns how many were replaced.
 */
export function replacePort(frame: Buffer, host: string, from: number, to: number): number {
  const address = Buffer.alloc(host.length + 4);
  address.write(host, "latin1");
  address.writeInt32BE(from, host.length);
  let count = 0;
  for (let at = frame.indexOf(address); at !== -1; at = frame.indexOf(address, at + address.length)) {
    frame.writeInt32BE(to, at + host.length);
    count++;
  }
  return count;
}
